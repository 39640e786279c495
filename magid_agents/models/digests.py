"""Compute identities of local model files from digests of their content, not from dates."""

import hashlib
from pathlib import Path

# Files that decide a model's answers: configurations, weights, tokenizers, chat templates.
MODEL_FILES = {".json", ".safetensors", ".bin", ".txt", ".model", ".jinja"}
HEX_DIGITS = 16


def folder_identity(folder: Path) -> str:
    """Return a local folder's `name@digest`; the digest covers paths and bytes of its model files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in MODEL_FILES):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(_sha256(path))
    return f"{folder.absolute().name}@{digest.hexdigest()[:HEX_DIGITS]}"


def file_identity(path: Path) -> str:
    """Return a local file's `name@digest`."""
    return f"{path.name}@{_sha256(path).hex()[:HEX_DIGITS]}"


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
