"""The images endpoint's client against a real HTTP server."""

import asyncio
from typing import Any

import pytest
from PIL import Image

from magid_agents.config import Painter
from magid_agents.models.endpoint import Endpoint, Rejected, Unavailable
from magid_agents.models.images import is_blank
from magid_agents.models.painters import build
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from tests.servers.endpoint import Api, always, serving
from tests.servers.faults import Fault


def painter(api: Api, **settings: Any) -> ImagesEndpointPainter:
    given = {"width": 32, "height": 16, "steps": 4, "guidance": 0.0, "retries": 1, **settings}
    return ImagesEndpointPainter(
        Painter(backend="images_endpoint", model="m", base_url=api.url, **given), Endpoint(4, 1, wait=0.01)
    )


def paint(painter: ImagesEndpointPainter, *seeds: int) -> list[Image.Image]:
    async def main() -> list[Image.Image]:
        painted = await asyncio.gather(*(painter.paint("a cat", seed) for seed in seeds))
        return [one.image for one in painted]

    return asyncio.run(main())


def test_seed_steps_and_size_reach_the_server() -> None:
    with serving(Api()) as api:
        first, second = paint(painter(api, negative_prompt="text"), 1, 2)
    assert first.size == (32, 16)
    assert first.tobytes() != second.tobytes()
    asked = api.asked[0]
    assert (asked["seed"], asked["num_inference_steps"], asked["guidance_scale"]) == (1, 4, 0.0)
    assert (asked["size"], asked["response_format"], asked["negative_prompt"]) == (
        "32x16",
        "b64_json",
        "text",
    )


@pytest.mark.parametrize("unknown", ["seed", "response_format"])
def test_what_the_server_does_not_know_is_left_out_from_then_on(unknown: str) -> None:
    with serving(Api(refused=lambda body: f"unknown: {unknown}" if unknown in body else None)) as api:
        assert len(paint(painter(api), 1, 2, 3)) == 3
    assert sum(unknown in asked for asked in api.asked) <= 2
    assert unknown not in api.asked[-1]


@pytest.mark.parametrize("fault", ["not an image", "empty", "500", "not JSON", "dropped"])
def test_an_answer_without_an_image_is_tried_again_and_then_said(fault: Fault) -> None:
    with serving(Api(faults=iter([fault, None, fault, fault]))) as api:
        one = painter(api)

        async def main() -> None:
            assert (await one.paint("a cat", 1)).image.size == (32, 16)
            with pytest.raises(Unavailable, match=r"^painter: "):
                await one.paint("a cat", 2)

        asyncio.run(main())
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (
            {"input_tokens": 9, "output_tokens": 272, "total_tokens": 281},
            {"input_tokens": 9, "output_tokens": 272},
        ),
        ({}, {}),
        ({"prompt_tokens": 9}, {}),  # of another API
        (None, {}),
    ],
)
def test_tokens_are_reported_if_the_server_counts_them(reported: Any, usage: dict[str, float]) -> None:
    with serving(Api(image_usage=reported)) as api:
        assert asyncio.run(painter(api).paint("a cat", 1)).usage == usage


def test_a_prompt_that_is_turned_down_is_said_so() -> None:
    with (
        serving(Api(refused=always("content policy"))) as api,
        pytest.raises(Rejected, match="content policy"),
    ):
        paint(painter(api), 1)


def test_it_is_built_by_its_name() -> None:
    assert build(Painter(backend="images_endpoint", model="m", base_url="http://127.0.0.1:1")).identity == "m"


def test_an_image_of_one_colour_is_blank() -> None:
    image = Image.new("RGB", (8, 8), (200, 10, 10))
    assert is_blank(image)
    image.putpixel((3, 3), (0, 90, 10))
    assert not is_blank(image)
