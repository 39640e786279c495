"""The key of a call: one hash of everything that decides its answer.

Every recorded answer is found by this key. Changing how it is made invalidates every journal there is.
"""

import hashlib
import json

canonical_json = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode

ordered_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def call_key(kind: str, model: str, request_json: str) -> str:
    """Return the SHA-256 of the canonical JSON of all three; the request is handed over as such."""
    text = f"[{canonical_json(kind)},{canonical_json(model)},{request_json}]"
    return hashlib.sha256(text.encode()).hexdigest()
