"""The images API of the tests' endpoint."""

import base64
import hashlib
import io
from typing import Any

from PIL import Image

from tests.servers.faults import Fault


def generated(body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    """Answer with a picture of two colours that prompt and seed decide."""
    r, g, b = hashlib.sha256(f"{body['prompt']}/{body.get('seed')}".encode()).digest()[:3]
    width, height = map(int, body["size"].split("x"))
    picture = Image.new("RGB", (width, height), (r, g, b))
    picture.paste((255 - r, 255 - g, 255 - b), (0, 0, width // 2, height))
    file = io.BytesIO()
    picture.save(file, "PNG")
    data = b"no image" if fault == "not an image" else file.getvalue()
    if fault in ("empty", "refusal", "nonsense"):
        return {"created": 0, "data": []}
    return {"created": 0, "data": [{"b64_json": base64.b64encode(data).decode()}]}
