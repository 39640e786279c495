"""Find out, with one harmless prompt, which optional fields of an images request a server accepts.

Servers agree on `model`, `prompt`, `n` and `size`, and on little else: OpenAI rejects fields that vLLM-Omni
and SGLang offer, and others ignore fields they do not know. A field is only left out if a rejection calls
it unknown. A rejected value is the fault of a setting, and moderation says nothing about fields.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from magid_agents.models.endpoint import ContentRefused, RequestRejected
from magid_agents.models.painters.errors import PainterError

PROMPT = "A street market with people, fruit and colourful awnings on a sunny day"
SEED = 1

RESPONSE_FORMAT, SEED_FIELD = "response_format", "seed"
# Fields of a request, and the painter's setting that holds the value; None if no setting does.
OPTIONAL: Mapping[str, str | None] = {
    RESPONSE_FORMAT: None,
    SEED_FIELD: None,
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "negative_prompt": "negative_prompt",
}
ARGUMENTS = "arguments"  # the setting that holds any other field
REQUIRED: Mapping[str, str] = {
    "size": "width and painter.height",
    "width": "width",
    "height": "height",
}
UNKNOWN = re.compile(
    r"unknown|unrecogni[sz]ed|unexpected|unsupported|\bextra\b|not (supported|permitted|allowed)",
    re.IGNORECASE,
)

THUMBNAIL = (32, 32)
SAME = 3.0  # mean difference, of 255: above that of other batches and kernels, far below that of other seeds

Fields = tuple[str, ...]
Send = Callable[[str, int, Fields], Awaitable[Image.Image]]  # prompt, seed, optional fields


@dataclass(frozen=True)
class RequestVariant:
    """The optional fields a server accepts, and whether a prompt and seed give the same image again."""

    fields: Fields
    reproducible: bool


async def find_variant(send: Send, fields: Sequence[str]) -> RequestVariant:
    """Paint the harmless prompt with as many fields as the server accepts, and twice if a seed is among them.

    Raises PainterError if the server rejects every request or the value of a setting, and what `send`
    raises.
    """
    accepted, image = await _accepted(send, tuple(fields))
    reproducible = SEED_FIELD in accepted and is_same(image, await send(PROMPT, SEED, accepted))
    return RequestVariant(accepted, reproducible)


async def _accepted(send: Send, fields: Fields) -> tuple[Fields, Image.Image]:
    # Fewer and fewer fields: the next variant is tried if a rejection does not name a field.
    untried = [
        fields,
        tuple(field for field in fields if field != RESPONSE_FORMAT),
        tuple(field for field in fields if field == RESPONSE_FORMAT),
        (),
    ]
    first: RequestRejected | None = None
    while untried:
        variant = untried.pop(0)
        try:
            return variant, await send(PROMPT, SEED, variant)
        except ContentRefused as error:
            raise PainterError(f"painter: the endpoint refuses even a harmless prompt ({error})") from error
        except RequestRejected as error:
            first = first or error
            if unknown := _unknown_fields(error, variant):
                untried.insert(0, variant)
                untried = [tuple(f for f in one if f not in unknown) for one in untried]
            elif _named(error, (*REQUIRED, *variant)):
                raise settings_rejected(error, variant) from error
            untried = list(dict.fromkeys(untried))
    assert first is not None
    raise settings_rejected(first, fields) from first


def settings_rejected(error: RequestRejected, fields: Fields = ()) -> PainterError:
    """Return the error for a rejection that is not about the prompt; it names the settings to change.

    Args:
        fields: further fields of the request, which painter.arguments named.
    """
    asked = dict.fromkeys((*REQUIRED, *OPTIONAL, *fields))
    named = (REQUIRED.get(field) or OPTIONAL.get(field, ARGUMENTS) for field in _named(error, tuple(asked)))
    settings = " and ".join(f"painter.{name}" for name in dict.fromkeys(filter(None, named)))
    return PainterError(f"{error}; change {settings or 'painter.model, painter.width or painter.height'}")


def is_same(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two images are equal up to numerical noise."""
    small = [np.asarray(i.resize(THUMBNAIL, Image.Resampling.BOX), dtype=float) for i in (one, other)]
    return one.size == other.size and float(np.abs(small[0] - small[1]).mean()) <= SAME


def _unknown_fields(error: RequestRejected, variant: Fields) -> Fields:
    """Return the fields to leave out: those called unknown, or with a value that no setting can change."""
    unknown = UNKNOWN.search(str(error)) is not None
    return tuple(f for f in _named(error, variant) if unknown or OPTIONAL.get(f, ARGUMENTS) is None)


def _named(error: RequestRejected, fields: Sequence[str]) -> Fields:
    """Return the fields that the endpoint objects to, from its structured answer or else its message."""
    if error.fields:
        return tuple(field for field in fields if field in error.fields)
    return tuple(field for field in fields if re.search(rf"\b{field}\b", str(error)))
