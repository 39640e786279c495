"""Identities of model files on this machine: digests of their content, never names or dates."""

import hashlib
from pathlib import Path

# What decides a model's answers: configurations, weights, tokenizers, chat templates.
MODEL_FILES = {".json", ".safetensors", ".bin", ".txt", ".model", ".jinja"}
HEX_DIGITS = 16


def folder_identity(folder: Path) -> str:
    """Return `name@digest` of a local folder: the digest covers the paths and bytes of its model files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in MODEL_FILES):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(_sha256(path))
    return f"{folder.absolute().name}@{digest.hexdigest()[:HEX_DIGITS]}"


def file_identity(path: Path) -> str:
    """Return `name@digest` of a local file."""
    return f"{path.name}@{_sha256(path).hex()[:HEX_DIGITS]}"


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
