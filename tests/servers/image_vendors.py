"""How vendors' images endpoints answer, for `Api.refused` and `Api.images` of the tests' endpoint."""

import itertools
from collections.abc import Callable, Collection
from typing import Any

from tests.servers.faults import Fault
from tests.servers.images import generated
from tests.servers.refusals import Detail, Refusal

Body = dict[str, Any]
SAFETY = "Your request was rejected by the safety system."


def openai(sizes: Collection[str], fields: Collection[str]) -> Callable[[Body], Refusal | None]:
    """OpenAI's own: fixed sizes, unknown fields are rejected one at a time, nudity is moderated."""

    def refused(body: Body) -> Refusal | None:
        for name in body:
            if name not in {"model", "prompt", "n", "size", *fields}:
                message = f"Unknown parameter: '{name}'."
                return Refusal(400, message, "unknown_parameter", {"param": name})
        if body["size"] not in sizes:
            message = f"Invalid value: '{body['size']}'. Supported values are: {', '.join(map(repr, sizes))}."
            return Refusal(400, message, "invalid_value", {"param": "size"})
        if "naked" in body["prompt"]:
            return Refusal(400, SAFETY, "moderation_blocked", {"type": "image_generation_user_error"})
        return None

    return refused


gpt_image = openai(("1024x1024", "1024x1536", "1536x1024"), ("quality", "background"))
dall_e_3 = openai(("1024x1024", "1024x1792", "1792x1024"), ("quality", "response_format"))


def strict_fastapi(body: Body) -> Refusal | None:
    """A server that knows seed and size, and validates with pydantic, all fields at once."""
    extra = [name for name in body if name not in {"model", "prompt", "n", "size", "seed"}]
    problems = [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
        for name in extra
    ]
    if not extra and not body["size"].startswith("512"):
        problems = [{"type": "value_error", "loc": ["body", "size"], "msg": "Value error, 512 pixels wide"}]
    return Detail(problems) if problems else None


def taciturn(accepted: Collection[str]) -> Callable[[Body], Refusal | None]:
    """Rejects what it does not know, and says nothing of what it is."""
    return lambda body: Refusal(400, "Bad Request") if set(body) - set(accepted) else None


def ignoring_seeds() -> Callable[[Body, Fault | None], dict[str, Any]]:
    """Accepts every field and heeds none: each image is another."""
    count = itertools.count()
    return lambda body, fault: generated(body | {"seed": f"random {next(count)}"}, fault)


def links(body: Body, _: Fault | None) -> dict[str, Any]:
    """Answers with an address, whatever response_format says."""
    return {"created": 0, "data": [{"url": f"https://images.example/{len(body['prompt'])}.png"}]}
