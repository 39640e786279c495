"""What a probe finds, for every set of fields that a server may accept and every way to say so."""

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from magid_agents.models.endpoint import RequestRejected
from magid_agents.models.painters.request_variant import (
    OPTIONAL,
    RESPONSE_FORMAT,
    Fields,
    find_variant,
    is_same,
)

Complaint = Callable[[list[str]], RequestRejected]

COMPLAINTS: list[Complaint] = [
    lambda unknown: RequestRejected(f"painter: 400: Unknown parameter: '{unknown[0]}'."),
    lambda unknown: RequestRejected("painter: 400: Unrecognized request argument", unknown[:1]),
    lambda unknown: RequestRejected("painter: 422: Extra inputs are not permitted", unknown),
    lambda unknown: RequestRejected(f"painter: 400: {' and '.join(unknown)} are not supported by this model"),
]


class FakeServer:
    """Accepts these fields, and complains about any other."""

    def __init__(self, accepted: set[str], complain: Complaint) -> None:
        self.accepted, self.complain, self.requests = accepted, complain, list[Fields]()

    async def send(self, prompt: str, seed: int, fields: Fields) -> Image.Image:
        self.requests.append(fields)
        if unknown := [field for field in fields if field not in self.accepted]:
            raise self.complain(unknown)
        return Image.new("RGB", (8, 8), (len(prompt), seed, 0))


@given(st.sets(st.sampled_from([*OPTIONAL])), st.sampled_from(COMPLAINTS))
def test_a_server_that_names_what_it_does_not_know_is_sent_all_the_rest(
    accepted: set[str], complain: Complaint
) -> None:
    server = FakeServer(accepted, complain)
    variant = asyncio.run(find_variant(server.send, [*OPTIONAL]))
    assert set(variant.fields) == accepted
    assert variant.reproducible == ("seed" in accepted)
    assert len(server.requests) <= len(OPTIONAL) + 2


@given(st.sets(st.sampled_from([*OPTIONAL])))
def test_a_server_that_gives_no_reason_is_sent_what_it_accepts(accepted: set[str]) -> None:
    server = FakeServer(accepted, lambda _: RequestRejected("painter: 400: Bad Request"))
    variant = asyncio.run(find_variant(server.send, [*OPTIONAL]))
    assert set(variant.fields) <= accepted
    assert (RESPONSE_FORMAT in variant.fields) == (RESPONSE_FORMAT in accepted)
    assert len(server.requests) <= 5


def test_the_last_bits_of_an_image_may_differ() -> None:
    image = Image.effect_noise((64, 64), 50).convert("RGB")
    assert is_same(image, image.point(lambda value: value ^ 1))
    assert not is_same(
        image, Image.effect_noise((64, 64), 50).convert("RGB").rotate(90, expand=True).resize((32, 32))
    )
    assert not is_same(image, image.point(lambda value: 255 - value))
