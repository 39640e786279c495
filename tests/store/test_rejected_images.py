"""Where unsafe images go: apart from the dataset's, however a run is begun, resumed or merged."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from magid_agents.config import Settings
from magid_agents.errors import MagidError
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.reading import trace
from magid_agents.runs.merge import merge
from magid_agents.runs.shards import Shard
from magid_agents.store.rundir import KEPT, REJECTED, RunDir, RunDirError
from magid_agents.thresholds import Threshold
from tests import fake_run

THINGS = ("dog", "knife", "cat")
ModelsFactory = Callable[[Settings], AbstractContextManager[Models]]


def unsafe(prompt: str, _: str) -> float:
    return 0.7 if "knife" in prompt else 0.1


def with_threshold(
    threshold: float, painter: FakePainter | None = None, rule: Callable[[str, str], float] = unsafe
) -> ModelsFactory:
    """Fake models whose safety check rejects from `threshold` on."""
    painter = painter or FakePainter()

    @contextmanager
    def open_models(_: Settings) -> Iterator[Models]:
        scorers = {
            "image_text_match": FakeScorer(fake_run.match),
            "unsafe": FakeScorer(rule, identity="fake-unsafe"),
        }
        thresholds = (
            Threshold("image_text_match", 0.5),
            Threshold("unsafe", threshold, lower_is_better=True, blocking=True),
        )
        yield Models(FakeChat(fake_run.script), painter, scorers, thresholds, None)

    return open_models


def images(out: Path, folder: str) -> set[str]:
    return {path.stem for path in out.glob(f"{folder}/??/*.png")}


def illustrations(out: Path) -> dict[str, list[str]]:
    """The paths of each dialogue's images."""
    return {
        record["id"]: [image["path"] for u in record["utterances"] for image in u["images"]]
        for record in fake_run.lines(out / "dialogues.jsonl")
    }


@pytest.mark.parametrize("graph", ["magid", "no_qa"])
def test_images_holds_only_what_passed_safety(tmp_path: Path, graph: str) -> None:
    out = tmp_path / "out"
    fake_run.run(tmp_path, *THINGS, open_models=with_threshold(0.5), sets=[f"graph={graph}"])
    paths = illustrations(out)
    assert [bool(paths[thing]) for thing in THINGS] == [True, False, True]
    assert len(images(out, KEPT)) == 4
    assert len(images(out, REJECTED)) == (4 if graph == "magid" else 2)  # candidates of each attempt


def test_a_resumed_run_paints_no_rejected_image_again(tmp_path: Path) -> None:
    out, painter = tmp_path / "out", FakePainter()
    fake_run.run(tmp_path, *THINGS, open_models=with_threshold(0.5))
    before = images(out, KEPT), images(out, REJECTED)
    assert fake_run.run(tmp_path, open_models=with_threshold(0.5, painter)).calls.computed == 0
    fake_run.run(tmp_path, open_models=with_threshold(0.5, painter), out=tmp_path / "other", reuse=[out])
    assert painter.calls == 0
    for path in (out, tmp_path / "other"):
        assert (images(path, KEPT), images(path, REJECTED)) == before


def test_a_verdict_under_another_threshold_moves_the_image(tmp_path: Path) -> None:
    out, painter = tmp_path / "out", FakePainter()
    for threshold, kept in [(0.5, False), (0.8, True), (0.6, False)]:
        fake_run.run(tmp_path, *THINGS, open_models=with_threshold(threshold, painter), update=True)
        assert bool(illustrations(out)["knife"]) == kept
        assert all((out / p).exists() for paths in illustrations(out).values() for p in paths)
        assert not images(out, KEPT) & images(out, REJECTED)
    assert painter.calls == len(images(out, KEPT) | images(out, REJECTED))


def test_images_that_were_painted_but_not_judged_are_judged_and_placed_by_the_next_run(
    tmp_path: Path,
) -> None:
    """As after a kill between the two, and in a run directory of an older version."""

    def broken(*_: str) -> float:
        raise MagidError("out of order")

    out, painter = tmp_path / "out", FakePainter()
    assert (
        fake_run.run(tmp_path, *THINGS, open_models=with_threshold(0.5, painter, broken)).counts.failed == 3
    )
    unjudged = images(out, KEPT)
    fake_run.run(tmp_path, open_models=with_threshold(0.5, painter))
    assert images(out, REJECTED) & unjudged
    assert not images(out, KEPT) & images(out, REJECTED)
    assert painter.calls == len(images(out, KEPT) | images(out, REJECTED))


def test_the_trace_names_each_image_where_it_lies(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fake_run.run(tmp_path, *THINGS, open_models=with_threshold(0.5))
    shown = [
        RunDir(out).image_name_of(candidate.sha256)
        for dialogue in trace.read(out)
        for moment in dialogue.decisions.outcomes
        for attempt in moment.attempts
        for candidate in attempt.candidates
    ]
    assert {Path(name).stem for name in shown} == images(out, KEPT) | images(out, REJECTED)
    assert all((out / name).exists() for name in shown)


def test_parts_are_merged_with_their_rejected_images(tmp_path: Path) -> None:
    fake_run.write_input(tmp_path / "in.jsonl", *THINGS)
    parts = [tmp_path / f"part{i}" for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        fake_run.run(tmp_path, open_models=with_threshold(0.5), out=part, shard=Shard(i, 2))
    merge(parts, tmp_path / "merged")
    fake_run.run(tmp_path, open_models=with_threshold(0.5))
    for folder in (KEPT, REJECTED):
        assert images(tmp_path / "merged", folder) == images(tmp_path / "out", folder) != set()
    assert (
        fake_run.run(tmp_path, open_models=with_threshold(0.5), out=tmp_path / "merged").calls.computed == 0
    )


@pytest.mark.parametrize("thresholds", [(0.5, 0.8), (0.8, 0.5)])
def test_a_merge_again_moves_images_as_the_parts_did(tmp_path: Path, thresholds: tuple[float, float]) -> None:
    fake_run.write_input(tmp_path / "in.jsonl", *THINGS)
    parts, whole = [tmp_path / f"part{i}" for i in (1, 2)], RunDir(tmp_path / "merged")
    for threshold in thresholds:
        for i, part in enumerate(parts, 1):
            fake_run.run(
                tmp_path, open_models=with_threshold(threshold), out=part, shard=Shard(i, 2), update=True
            )
        merge(parts, whole.path, again=True)
        assert all((whole.path / p).exists() for paths in illustrations(whole.path).values() for p in paths)
        for folder in (KEPT, REJECTED):
            assert images(whole.path, folder) == images(parts[0], folder) | images(parts[1], folder)
        assert not whole.evaluation.exists()
        whole.evaluation.write_text("{}")  # of the results that the next merge replaces


def test_dialogues_that_place_the_same_image_at_once_do_not_fail(tmp_path: Path) -> None:
    directory = RunDir(tmp_path)
    digests = [directory.save_image(Image.new("RGB", (2, 2), (i, 0, 0)), {}) for i in range(40)]
    both = threading.Barrier(2, timeout=20)

    def place() -> None:
        for digest in digests:
            both.wait()
            directory.place_image(digest, safe=False)

    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(place) for _ in range(2)]:
            job.result()
    assert images(tmp_path, REJECTED) == set(digests)


def test_an_image_that_is_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDir(tmp_path)
    digest = directory.save_image(Image.new("RGB", (2, 2)), {})
    gone = directory.image_path(digest)
    moving = Path.replace

    def vanish(self: Path, target: Path) -> Path:
        gone.unlink()
        return moving(self, target)

    monkeypatch.setattr(Path, "replace", vanish)
    with pytest.raises(RunDirError, match="cannot be written"):
        directory.place_image(digest, safe=False)
