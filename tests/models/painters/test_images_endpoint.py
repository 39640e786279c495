"""The images endpoint's client against a real HTTP server that answers as vendors' do."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.errors import StopRun
from magid_agents.models.endpoint import Endpoint, EndpointUnavailable, EndpointUnusable
from magid_agents.models.images import is_blank
from magid_agents.models.painters import build
from magid_agents.models.painters.errors import PainterError, PromptRefused
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.models.painters.request_variant import PROMPT
from magid_agents.models.protocols import IMAGES, PaintedImage, Probed
from tests.servers import image_vendors
from tests.servers.endpoint import Api, always, serving
from tests.servers.faults import Fault
from tests.servers.refusals import Refusal

ALL = ("response_format", "seed", "num_inference_steps", "guidance_scale", "negative_prompt")


def painter(api: Api, **settings: Any) -> ImagesEndpointPainter:
    given = {"width": 32, "height": 16, "steps": 4, "guidance": 0.0, "retries": 1, **settings}
    return ImagesEndpointPainter(
        PainterSettings(backend="images_endpoint", model="m", base_url=api.url, **given),
        Endpoint(4, 1, initial_backoff_s=0.01),
    )


def probe(painter: ImagesEndpointPainter) -> Probed:
    async def main() -> Probed:
        try:
            probed = await painter.probe()
        finally:
            await painter.aclose()
        painter.adopt(probed.found)
        return probed

    return asyncio.run(main())


def paint(painter: ImagesEndpointPainter, *seeds: int, prompt: str = "a cat") -> list[PaintedImage]:
    async def main() -> list[PaintedImage]:
        try:
            return list(await asyncio.gather(*(painter.paint(prompt, seed) for seed in seeds)))
        finally:
            await painter.aclose()

    if painter.adopted is None:
        probe(painter)
    return asyncio.run(main())


@pytest.mark.parametrize(("pixels", "elsewhere"), [(32, False), (512, True)])
def test_a_large_image_is_decoded_outside_the_event_loop(
    pixels: int, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, threads = Image.open, list[threading.Thread]()

    def spy(*given: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return real(*given, **more)

    with serving(Api()) as api:
        tool = painter(api, width=pixels, height=pixels)
        probe(tool)
        monkeypatch.setattr(Image, "open", spy)
        (painted,) = paint(tool, 1)
    assert painted.image.size == (pixels, pixels)
    assert [thread is not threading.main_thread() for thread in threads] == [elsewhere]


def test_seed_steps_and_size_reach_the_server() -> None:
    with serving(Api()) as api:
        first, second = paint(painter(api, negative_prompt="text"), 1, 2)
    assert first.image.size == (32, 16)
    assert first.image.tobytes() != second.image.tobytes()
    asked = next(asked for asked in api.asked if asked["prompt"] == "a cat" and asked["seed"] == 1)
    assert (asked["num_inference_steps"], asked["guidance_scale"]) == (4, 0.0)
    assert (asked["size"], asked["response_format"]) == ("32x16", "b64_json")
    assert asked["negative_prompt"] == "text"


@pytest.mark.parametrize(
    ("refused", "size", "sent"),
    [
        pytest.param(lambda _: None, (32, 16), ALL, id="vLLM-Omni, SGLang"),
        pytest.param(image_vendors.gpt_image, (1024, 1024), (), id="gpt-image-1"),
        pytest.param(image_vendors.dall_e_3, (1024, 1024), ("response_format",), id="dall-e-3"),
        pytest.param(image_vendors.strict_fastapi, (512, 512), ("seed",), id="pydantic"),
        pytest.param(
            image_vendors.taciturn(("model", "prompt", "n", "size", *ALL[1:])),
            (32, 16),
            ALL[1:],
            id="no reason, no response_format",
        ),
        pytest.param(
            image_vendors.taciturn(("model", "prompt", "n", "size", "response_format")),
            (32, 16),
            ("response_format",),
            id="no reason, no fields of ours",
        ),
        pytest.param(
            image_vendors.taciturn(("model", "prompt", "n", "size")), (32, 16), (), id="no reason, nothing"
        ),
    ],
)
def test_only_what_the_server_accepts_is_sent_and_claimed(
    refused: Callable[[dict[str, Any]], Refusal | None], size: tuple[int, int], sent: tuple[str, ...]
) -> None:
    with serving(Api(refused=refused)) as api:
        tool = painter(api, width=size[0], height=size[1], negative_prompt="text")
        probed = probe(tool)
        paint(tool, 1, 2)
    assert all({*asked} & {*ALL} == {*sent} for asked in api.asked if asked["prompt"] == "a cat")
    assert tool.reproducible == ("seed" in sent)
    settings = {
        "num_inference_steps": "steps",
        "guidance_scale": "guidance",
        "negative_prompt": "negative_prompt",
    }
    assert set(tool.parameters) == {"width", "height", *(settings[f] for f in sent if f in settings)}
    assert probed.usage == {IMAGES: 2 if "seed" in sent else 1}


def test_a_key_that_older_versions_made_still_holds() -> None:
    with serving(Api()) as api:
        tool = painter(api)
        probe(tool)
    assert tool.parameters == {"steps": 4, "guidance": 0.0, "width": 32, "height": 16, "negative_prompt": ""}


def test_a_seed_that_the_server_ignores_is_not_claimed() -> None:
    with serving(Api(images=image_vendors.ignoring_seeds())) as api:
        tool = painter(api)
        probe(tool)
        paint(tool, 7)
    assert not tool.reproducible
    assert api.asked[-1]["seed"] == 7  # servers that are given none may always take the same one


@pytest.mark.parametrize(
    ("refused", "named"),
    [
        pytest.param(
            image_vendors.gpt_image, r"'64x64'.*; change painter\.width and painter\.height$", id="size"
        ),
        pytest.param(
            image_vendors.strict_fastapi,
            r"422: size: Value error, .*; change painter\.width and painter",
            id="pydantic",
        ),
        pytest.param(
            always(Refusal(400, "'width' must be at least 768 pixels.")),
            r"768 pixels\.; change painter\.width$",
            id="in words",
        ),
        pytest.param(
            always(Refusal(400, "must be below 5", more={"param": "num_inference_steps"})),
            r"change painter\.steps$",
            id="a value out of range",
        ),
        pytest.param(always("no"), r"400: no; change painter\.model, painter\.width or", id="no reason"),
        pytest.param(
            always(Refusal(400, image_vendors.SAFETY, "moderation_blocked")),
            "refuses even a harmless prompt",
            id="moderation",
        ),
    ],
)
def test_a_setting_that_the_server_rejects_is_named(
    refused: Callable[[dict[str, Any]], Refusal | None], named: str
) -> None:
    with serving(Api(refused=refused)) as api, pytest.raises(PainterError, match=f"^painter: .*{named}"):
        probe(painter(api, width=64, height=64))
    assert {asked["prompt"] for asked in api.asked} == {PROMPT}
    assert len(api.asked) <= len(ALL)


@pytest.mark.parametrize("refusal", [Refusal(402, "no"), Refusal(400, "no", "billing_hard_limit_reached")])
def test_an_account_without_balance_stops_the_run(refusal: Refusal) -> None:
    with (
        serving(Api(refused=always(refusal))) as api,
        pytest.raises(EndpointUnusable, match="no balance left"),
    ):
        probe(painter(api))
    assert len(api.asked) == 1


def test_an_endpoint_that_answers_with_links_is_named() -> None:
    with (
        serving(Api(images=image_vendors.links)) as api,
        pytest.raises(PainterError, match="answers with links"),
    ):
        probe(painter(api))


@pytest.mark.parametrize("fault", ["not an image", "empty", "500", "not JSON", "dropped"])
def test_an_answer_without_an_image_is_tried_again_and_then_said(fault: Fault) -> None:
    with serving(Api()) as api:
        tool = painter(api)
        probe(tool)
        api.faults = iter([fault, None, fault, fault])
        assert paint(tool, 1)[0].image.size == (32, 16)
        with pytest.raises(EndpointUnavailable, match=r"^painter: "):
            paint(tool, 2)
    assert len(api.asked) == 2 + 4


@pytest.mark.parametrize(
    ("refusal", "control"),
    [
        pytest.param(Refusal(400, image_vendors.SAFETY, "moderation_blocked"), 0, id="moderation"),
        pytest.param(
            Refusal(400, "too long", "string_above_max_length", {"param": "prompt"}), 0, id="too long"
        ),
        pytest.param(Refusal(400, "Bad Request"), 1, id="no reason"),
    ],
)
def test_a_prompt_that_is_turned_down_changes_no_request(refusal: Refusal, control: int) -> None:
    with serving(Api(refused=lambda body: refusal if body["prompt"] == "naked" else None)) as api:
        tool = painter(api)
        probe(tool)
        with pytest.raises(PromptRefused, match=refusal.message) as raised:
            paint(tool, 1, prompt="naked")
        assert not isinstance(raised.value, StopRun)
        assert raised.value.usage == ({IMAGES: 1} if control else {})
        paint(tool, 1)
    assert len(api.asked) == 2 + 1 + control + 1
    assert {"seed", "num_inference_steps", "response_format"} <= set(api.asked[-1])


def test_a_server_that_now_rejects_every_request_stops_the_run() -> None:
    with serving(Api()) as api:
        tool = painter(api)
        probe(tool)
        api.refused = image_vendors.gpt_image
        with pytest.raises(PainterError, match=r"^painter: 400: Unknown parameter"):
            paint(tool, 1)


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
        tool = painter(api)
        assert probe(tool).usage == {IMAGES: 2, **{name: 2 * tokens for name, tokens in usage.items()}}
        assert paint(tool, 1)[0].usage == usage


def test_it_is_built_by_its_name() -> None:
    assert (
        build(PainterSettings(backend="images_endpoint", model="m", base_url="http://127.0.0.1:1")).identity
        == "m"
    )


def test_an_image_of_one_colour_is_blank() -> None:
    image = Image.new("RGB", (8, 8), (200, 10, 10))
    assert is_blank(image)
    image.putpixel((3, 3), (0, 90, 10))
    assert not is_blank(image)


def test_further_arguments_are_sent_and_decide_the_image() -> None:
    with serving(Api()) as api:
        tool = painter(api, arguments={"quality": "low"})
        paint(tool, 1)
    assert [asked["quality"] for asked in api.asked] == ["low"] * 3
    assert tool.parameters["arguments"] == {"quality": "low"}
    assert tool.probe_request["quality"] == "low"
    with serving(Api(refused=image_vendors.taciturn(("model", "prompt", "n", "size", "seed")))) as api:
        tool = painter(api, arguments={"quality": "low"})
        paint(tool, 1)
    assert "quality" not in api.asked[-1]
    assert "arguments" not in tool.parameters


def test_an_argument_of_a_wrong_value_is_named() -> None:
    refusal = Refusal(400, "Invalid value: 'lowest'", more={"param": "quality"})
    with (
        serving(Api(refused=lambda body: refusal if "quality" in body else None)) as api,
        pytest.raises(PainterError, match=r"Invalid value: 'lowest'; change painter\.arguments$"),
    ):
        probe(painter(api, arguments={"quality": "lowest"}))
