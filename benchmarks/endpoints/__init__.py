"""A run against real HTTP endpoints, compared to other ways of making the same calls."""
