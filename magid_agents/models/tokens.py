"""How many tokens a painter's text encoder reads of a prompt, told without loading the painter.

Knows a pipeline folder's tokenizer; knows no limit that the folder does not state.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer

UNLIMITED = 100_000  # transformers writes 1e30 where a tokenizer has no limit of its own


class TokenCounter:
    """The tokenizer of a diffusers pipeline folder, special tokens counted."""

    def __init__(self, pipeline: Path, limit: int | None = None) -> None:
        """`limit` is the pipeline's own where its tokenizer states none, or one too high."""
        folder = pipeline / "tokenizer"
        config = folder / "tokenizer_config.json"
        stated = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
        length = stated.get("model_max_length")
        self.limit = limit or (int(length) if length and length < UNLIMITED else None)
        self._tokenizer = _load(folder) if self.limit is not None else None

    def count(self, text: str) -> int:
        """Tokens of the text; 0 where the painter states no limit."""
        return 0 if self._tokenizer is None else len(self._tokenizer.encode(text).ids)


def _load(folder: Path) -> Tokenizer:
    whole = folder / "tokenizer.json"
    if whole.exists():
        tokenizer: Tokenizer = Tokenizer.from_file(str(whole))
    else:
        from transformers import AutoTokenizer  # knows the older layouts; takes seconds to import

        tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    tokenizer.no_truncation()  # a file may carry the lengths of its own training
    tokenizer.no_padding()
    return tokenizer
