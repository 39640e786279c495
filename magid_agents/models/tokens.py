"""Count the tokens that a painter's text encoder reads of a prompt, without loading the painter."""

import json
from pathlib import Path

from tokenizers import Tokenizer

UNLIMITED = 100_000  # transformers writes 1e30 if a tokenizer has no limit


class TokenCounter:
    """The tokenizer in a diffusers pipeline's folder. Counts include special tokens."""

    def __init__(self, pipeline: Path, limit: int | None = None) -> None:
        """Load the tokenizer. `limit` overrides its own limit, if that is missing or too high."""
        folder = pipeline / "tokenizer"
        config = folder / "tokenizer_config.json"
        stated = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
        length = stated.get("model_max_length")
        self.limit = limit or (int(length) if length and length < UNLIMITED else None)
        self._tokenizer = _load(folder) if self.limit is not None else None

    def count(self, text: str) -> int:
        """Count the text's tokens; return 0 if the painter has no known limit."""
        return 0 if self._tokenizer is None else len(self._tokenizer.encode(text).ids)


def _load(folder: Path) -> Tokenizer:
    whole = folder / "tokenizer.json"
    if whole.exists():
        tokenizer: Tokenizer = Tokenizer.from_file(str(whole))
    else:
        from transformers import AutoTokenizer  # reads older layouts too; takes seconds to import

        tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    tokenizer.no_truncation()  # the file may set lengths used in training
    tokenizer.no_padding()
    return tokenizer
