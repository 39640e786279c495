"""Runs whose painter is a real HTTP server: what becomes of its rejections, refusals and silences."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from magid_agents import config
from magid_agents.agents.cost import CostReached
from magid_agents.config import Settings
from magid_agents.models import build
from magid_agents.models.build import Models
from magid_agents.models.endpoint import Endpoint, EndpointDown, EndpointUnusable
from magid_agents.models.fakes import FakeChat, FakeScorer
from magid_agents.models.painters.errors import PainterError
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.models.painters.request_variant import PROMPT
from magid_agents.runs.session import RunResult
from tests import fake_run
from tests.servers import image_vendors
from tests.servers.endpoint import Api, always, serving
from tests.servers.personalities import Personality
from tests.servers.refusals import Refusal

PROBES = 2  # images: the second for the seed
THINGS = ("dog", "cat", "cow")
OPENAI_SIZE: dict[str, Any] = {"width": 1024, "height": 1024}


def remote(chat: FakeChat) -> Callable[[Settings], AbstractContextManager[Models]]:
    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        scorers = {
            "image_text_match": FakeScorer(fake_run.match),
            "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        }
        painter = ImagesEndpointPainter(settings.painter, Endpoint(8, 0))
        yield Models(chat, painter, scorers, fake_run.THRESHOLDS, None)

    return open_models


def run(folder: Path, api: Api, *things: str, chat: FakeChat | None = None, **options: Any) -> RunResult:
    """A run with the painter's settings and RunRequest's options; images are 64 x 64 unless they say so."""
    painter = {key: options.pop(key) for key in ("width", "height", "steps") if key in options}
    sets = [f"painter.{key}={value}" for key, value in painter.items()] + options.pop("sets", [])
    sets += ["painter.backend=images_endpoint", "painter.model=m", f"painter.base_url={api.url}"]
    return fake_run.run(
        folder, *things, open_models=remote(chat or FakeChat(fake_run.script)), sets=sets, **options
    )


def asked_for(api: Api) -> list[str]:
    return [asked["prompt"] for asked in api.asked]


def images(out: Path) -> list[dict[str, Any]]:
    records = fake_run.lines(out / "dialogues.jsonl")
    return [image for record in records for u in record["utterances"] for image in u["images"]]


def paint_requests(out: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(out / "journal.sqlite")) as db:
        return [json.loads(row[0]) for row in db.execute("SELECT request FROM calls WHERE kind = 'paint'")]


def test_a_setting_that_the_server_rejects_fails_before_any_dialogue(tmp_path: Path) -> None:
    chat = FakeChat(fake_run.script)
    with serving(Api(refused=image_vendors.gpt_image)) as api:
        with pytest.raises(PainterError, match=r"'64x64'.*change painter\.width and painter\.height"):
            run(tmp_path, api, *THINGS, chat=chat)
        assert chat.calls == 0
        assert set(asked_for(api)) == {PROMPT}
        outcome = run(tmp_path, api, **OPENAI_SIZE)
    assert (outcome.counts.failed, outcome.counts.accepted) == (0, 3)


def test_the_same_command_paints_once_the_server_is_mended(tmp_path: Path) -> None:
    with serving(Api(refused=always("out of order"))) as api:
        with pytest.raises(PainterError, match="out of order"):
            run(tmp_path, api, *THINGS)
        assert len(api.asked) <= 4
        api.refused = lambda _: None
        assert run(tmp_path, api).counts.accepted == 3


def test_a_server_that_comes_to_reject_everything_stops_the_run_which_then_goes_on(tmp_path: Path) -> None:
    with serving(Api()) as api:
        api.refused = lambda _: "replaced" if len(api.asked) > PROBES + 2 else None
        with pytest.raises(PainterError, match="400: replaced; change painter"):
            run(tmp_path, api, *THINGS, sets=["concurrency=1"])
        api.refused = lambda _: None
        outcome = run(tmp_path, api)
    assert (outcome.counts.failed, outcome.counts.accepted, outcome.counts.dropped) == (0, 3, 0)


def test_a_server_that_comes_to_accept_less_is_probed_again_by_the_next_run(tmp_path: Path) -> None:
    with serving(Api()) as api:
        run(tmp_path, api, "dog", **OPENAI_SIZE)
        api.refused = image_vendors.gpt_image
        with pytest.raises(PainterError, match="Unknown parameter"):
            run(tmp_path, api, "dog", "cat", update=True, **OPENAI_SIZE)
        outcome = run(tmp_path, api, update=True, **OPENAI_SIZE)
    assert (outcome.counts.failed, outcome.counts.accepted) == (0, 2)
    assert [image["seed"] for image in images(tmp_path / "out")] == [None, None]


@pytest.mark.parametrize(
    "refusal", [Refusal(400, image_vendors.SAFETY, "moderation_blocked"), Refusal(400, "Bad Request")]
)
def test_a_refused_prompt_drops_its_moment_and_changes_nothing_else(tmp_path: Path, refusal: Refusal) -> None:
    """The first one too; it is remembered, as another answer would be no other."""
    with serving(Api(refused=lambda body: refusal if "dog" in body["prompt"] else None)) as api:
        outcome = run(tmp_path, api, *THINGS)
        asked = len(api.asked)
        assert run(tmp_path, api).counts.dropped == 1
        assert len(api.asked) == asked
    assert (outcome.counts.failed, outcome.counts.accepted, outcome.counts.dropped) == (0, 2, 1)
    assert all({"seed", "response_format", "num_inference_steps"} <= set(asked) for asked in api.asked)
    dropped = fake_run.lines(tmp_path / "out" / "dialogues.jsonl")[0]["dropped"]
    assert refusal.message in dropped[0]["reason"]


def test_what_never_reached_the_server_is_claimed_nowhere(tmp_path: Path) -> None:
    with serving(Api(refused=image_vendors.gpt_image)) as api:
        run(tmp_path, api, *THINGS, **OPENAI_SIZE)
    out = tmp_path / "out"
    assert [image["seed"] for image in images(out)] == [None] * 3
    assert all("seed" not in Image.open(out / image["path"]).info for image in images(out))
    requests = paint_requests(out)
    assert len({request["sample"] for request in requests}) == len(requests) == 6
    assert all(
        set(request) <= {"prompt", "sample", "width", "height", "negative_prompt"} for request in requests
    )
    told = json.loads((out / "run.json").read_text())["painter"]
    assert told["reproducible"] is False
    assert not {"steps", "guidance"} & set(told["parameters"])


def test_a_seed_that_the_server_heeds_is_recorded(tmp_path: Path) -> None:
    with serving(Api()) as api:
        run(tmp_path, api, "dog")
    out = tmp_path / "out"
    (image,) = images(out)
    assert image["seed"] in {asked["seed"] for asked in api.asked}
    assert Image.open(out / image["path"]).info["seed"] == str(image["seed"])
    assert image["seed"] in {request["seed"] for request in paint_requests(out)}


def test_a_seed_that_the_server_ignores_is_not_recorded(tmp_path: Path) -> None:
    with serving(Api(images=image_vendors.ignoring_seeds())) as api:
        run(tmp_path, api, "dog")
    assert [image["seed"] for image in images(tmp_path / "out")] == [None]


def test_a_setting_that_never_reached_the_server_changes_no_image(tmp_path: Path) -> None:
    with serving(Api(refused=image_vendors.gpt_image)) as api:
        run(tmp_path, api, *THINGS, **OPENAI_SIZE)
        before = images(tmp_path / "out")
        run(tmp_path, api, **OPENAI_SIZE, steps=9, update=True)
        assert images(tmp_path / "out") == before


def test_a_resumed_or_reused_run_probes_nothing(tmp_path: Path) -> None:
    with serving(Api()) as api:
        run(tmp_path, api, *THINGS)
        asked = len(api.asked)
        assert run(tmp_path, api).calls.computed == 0
        run(tmp_path, api, out=tmp_path / "other", reuse=[tmp_path / "out"])
    assert len(api.asked) == asked


def test_a_probe_is_paid_for_once(tmp_path: Path) -> None:
    price = ['prices={"m": {"image": 0.5}}']
    with serving(Api()) as api:
        first = run(tmp_path, api, "dog", sets=price)
        assert first.cost == 0.5 * (PROBES + 2) == 0.5 * len(api.asked)
        assert run(tmp_path, api, sets=price).cost == first.cost
        with pytest.raises(CostReached):
            run(tmp_path, api, "dog", "cat", sets=[*price, "max_cost=1"], out=tmp_path / "other")


def test_an_account_without_balance_stops_the_run(tmp_path: Path) -> None:
    with serving(Api()) as api:
        api.refused = lambda _: Refusal(402, "no credits") if len(api.asked) > PROBES + 1 else None
        with pytest.raises(EndpointUnusable, match="no balance left"):
            run(tmp_path, api, *THINGS)
        api.refused = lambda _: None
        assert run(tmp_path, api).counts.accepted == 3


def test_a_served_model_is_told_from_another_of_the_same_name() -> None:
    def painter_identity(root: str) -> str:
        def listed() -> list[dict[str, Any]]:
            return [{"id": "m", "created": time.time_ns(), "root": root}]

        with serving(Api(personality=Personality("vLLM-Omni", list_models=listed))) as api:
            sets = [
                f"{section}.{key}"
                for section in ("chat", "painter")
                for key in (f"base_url={api.url}", "model=m")
            ]
            settings = config.load(overrides=[*sets, "painter.backend=images_endpoint"])
            with build.open_models(settings) as models:
                return models.painter.identity

    first, again, other = map(
        painter_identity, ["Qwen/Qwen-Image", "Qwen/Qwen-Image", "Qwen/Qwen-Image-2512"]
    )
    assert first == again != other
    assert painter_identity("m") == "m"  # says nothing more: as in older keys


def test_a_server_that_answers_nobody_ends_the_run_before_any_dialogue(tmp_path: Path) -> None:
    chat = FakeChat(fake_run.script)
    with serving(Api(faults=iter(["500"]))) as api:
        with pytest.raises(EndpointDown, match=r"^painter: 500: .*run the same command again"):
            run(tmp_path, api, "dog", chat=chat)
        assert chat.calls == 0
        assert run(tmp_path, api).counts.accepted == 1
