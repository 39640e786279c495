"""Compute the key of a call: one hash over everything that decides its answer.

Every recorded answer is found by this key. Changing how it is computed invalidates all existing journals.
"""

import hashlib
import json

canonical_json = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode

ordered_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def call_key(kind: str, model: str, request_json: str) -> str:
    """Return the SHA-256 over the canonical JSON of all three. The request must already be canonical JSON."""
    text = f"[{canonical_json(kind)},{canonical_json(model)},{request_json}]"
    return hashlib.sha256(text.encode()).hexdigest()
