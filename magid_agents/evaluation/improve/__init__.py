"""Search for better prompts, and promote only what proves itself."""
