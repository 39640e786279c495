"""A threshold moved after the fact tells what a run with it gives, or says what it cannot know."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from magid_agents.config import Settings
from magid_agents.dialogue import Attempt, Candidate, Critique, Decision, Question, Verdict
from magid_agents.errors import ConfigError
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.prompts import Message
from magid_agents.reading import trace, what_if
from magid_agents.reading.index import Index
from magid_agents.reading.query import DecidedMoment, Filter
from magid_agents.reading.what_if import Flip, Flips, redecide
from magid_agents.store.rundir import RunDir
from magid_agents.thresholds import Threshold
from tests.fake_run import fakes, lines, run, script

THINGS = ("dog", "cake", "fog", "silence", *(f"thing{i}" for i in range(20)))
NO_CRITIQUE = ["critic.critique=null", "budget.attempts=3", "budget.candidates=2"]


class ScoreOfCandidate(FakeScorer):
    """Any score up to `most`: the same for the same prompt and seed, and another for another seed."""

    def __init__(self, name: str, most: float) -> None:
        super().__init__(lambda *_: 0.0, identity=f"fake-{name}")
        self._most = most

    async def score(self, image: Path, _: str) -> float:
        with Image.open(image) as picture:
            painted = f"{self.identity}/{picture.info['prompt']}/{picture.info['seed']}"
        return crc32(painted.encode()) % 1000 / 1000 * self._most


def models(
    values: Mapping[str, float] | None = None, chat: FakeChat | None = None
) -> Callable[[Settings], AbstractContextManager[Models]]:
    limits = {"image_text_match": 0.5, "aesthetics": 0.4, "unsafe": 0.5} | dict(values or {})

    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        highest = {"image_text_match": 1.0, "aesthetics": 1.0, "unsafe": 0.5}
        scorers = {check: ScoreOfCandidate(check, most) for check, most in highest.items()}
        thresholds = tuple(
            Threshold(check, limits[check], check == "unsafe", check == "unsafe") for check in scorers
        )
        with fakes(chat or FakeChat(script), FakePainter())(settings) as made:
            yield replace(made, scorers=scorers, thresholds=thresholds)

    return open_models


def moved(out: Path, values: Mapping[str, float]) -> Flips:
    with Index.open(RunDir(out)) as index:
        return redecide(index, values)


def kept(out: Path) -> dict[str, str | None]:
    """The image of each dialogue's first utterance."""
    return {
        r["id"]: next((image["sha256"] for image in r["utterances"][0]["images"]), None)
        for r in lines(out / "dialogues.jsonl")
    }


def attempts(out: Path) -> dict[str, int]:
    with Index.open(RunDir(out)) as index:
        return {row.id: row.attempts for row in index.dialogues(Filter())}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder, *THINGS, sets=NO_CRITIQUE, open_models=models())
    return folder


@pytest.mark.parametrize(
    "values",
    [
        {"image_text_match": 0.1},
        {"image_text_match": 0.3},
        {"image_text_match": 0.8},
        {"image_text_match": 0.99},
        {"aesthetics": 0.0},
        {"aesthetics": 0.7},
        {"image_text_match": 0.2, "aesthetics": 0.1},
        {"image_text_match": 0.7, "aesthetics": 0.1},
        {"unsafe": 0.05},
    ],
)
def test_it_foretells_the_run(tmp_path: Path, finished: Path, values: dict[str, float]) -> None:
    told = moved(finished / "out", values)
    assert told.decided_otherwise == 0
    before = kept(finished / "out")
    run(tmp_path, *THINGS, sets=NO_CRITIQUE, open_models=models(values))
    after = kept(tmp_path / "out")
    known = [flip for flip in told.flips if flip.exact and flip.change != "unknown"]
    assert {flip.dialogue: after[flip.dialogue] for flip in known} == {f.dialogue: f.after for f in known}
    # What is not told to flip may do so only by a prompt that was written from another verdict.
    others = after.keys() - {flip.dialogue for flip in told.flips}
    first_try = {d for d in others if before[d] and attempts(finished / "out")[d] == 1}
    assert {d: after[d] for d in first_try} == {d: before[d] for d in first_try}
    for flip in told.flips:
        assert flip.before == before[flip.dialogue]
    missing = {f"attempt {number} was never made" for number in (2, 3)}
    assert {flip.why for flip in told.of("unknown")} <= missing


def test_lowering_without_a_critique_is_exact_and_every_kind_of_change_is_told(finished: Path) -> None:
    seen = set()
    for check in ("image_text_match", "aesthetics"):
        for percent in range(0, 100, 5):
            told = moved(finished / "out", {check: percent / 100})
            limit = {"image_text_match": 0.5, "aesthetics": 0.4}[check]
            if percent / 100 <= limit:
                assert {flip.change for flip in told.flips} <= {"gained", "replaced"}
            seen |= {flip.change for flip in told.flips}
    assert seen >= {"gained", "replaced", "lost", "unknown"}


def test_a_threshold_that_stays_changes_nothing(finished: Path) -> None:
    assert moved(finished / "out", {"image_text_match": 0.5, "critique": 0.6}) == Flips((), 0)


def test_an_image_that_was_never_critiqued_is_not_known_to_pass(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog")
    told = moved(tmp_path / "out", {"image_text_match": 0.1})
    assert [(flip.change, flip.dialogue, flip.why) for flip in told.flips] == [
        ("unknown", "cake", "attempt 1 would pass, but its image was never critiqued"),
        ("unknown", "fog", "attempt 1 would pass, but its image was never critiqued"),
    ]


def test_the_critiques_threshold_moves_too(tmp_path: Path) -> None:
    def doubtful(messages: object, shape: str) -> str:
        if shape == "CritiqueAnswer":
            half = [{"question": q, "answer": q == "a?"} for q in ("a?", "b?")]
            return (
                f'{{"questions": {half}, "comment": ""}}'.replace("'", '"')
                .replace("True", "true")
                .replace("False", "false")
            )
        return script(messages, shape)  # type: ignore[arg-type]  # it is what a script is given

    run(tmp_path, "dog", chat=FakeChat(doubtful))
    (flip,) = moved(tmp_path / "out", {"critique": 0.5}).flips
    assert (flip.change, flip.dialogue, flip.before) == ("gained", "dog", None)
    assert flip.after in {path.stem for path in (tmp_path / "out").glob("images/??/*.png")}


def test_a_graph_that_decides_in_its_own_way_is_left_alone(tmp_path: Path) -> None:
    run(tmp_path, "fog", sets=["graph=no_qa"])
    with Index.open(RunDir(tmp_path / "out")) as index:
        assert index.count(Filter(outcome="accepted")) == 1
    assert moved(tmp_path / "out", {"unsafe": 0.1}) == Flips((), 1)


def test_a_check_that_has_no_threshold_is_an_error(finished: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'aesthetics'"):
        moved(finished / "out", {"aestetics": 0.5})
    with pytest.raises(ValueError, match="a probability"):
        moved(finished / "out", {"unsafe": 1.5})


def doubtful(messages: Sequence[Message], shape: str) -> str:
    """Critiques of four questions, some of which are not satisfied."""
    if shape != "CritiqueAnswer":
        return script(messages, shape)
    chance = crc32(messages[-1].text.encode())
    questions = [{"question": f"{i}?", "answer": chance >> i & 3 != 0} for i in range(4)]
    return json.dumps({"questions": questions, "comment": ""})


@pytest.fixture(scope="module")
def critiqued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("critiqued")
    sets = ["critic.threshold=0.6", "budget.attempts=3", "budget.candidates=3"]
    run(folder, *THINGS, sets=sets, open_models=models({"unsafe": 0.3}, FakeChat(doubtful)))
    return folder


def moved_slowly(out: Path, values: Mapping[str, float]) -> tuple[Flip, ...]:
    """Decide every recorded moment again, without asking the index which ones may change."""
    with Index.open(RunDir(out)) as index:
        before = what_if._rules(index)
    after = before._replace(
        thresholds=[replace(t, value=values.get(t.check, t.value)) for t in before.thresholds],
        critique=values.get("critique", before.critique),
    )
    flips = []
    for one in trace.read(out):
        for outcome in one.decisions.outcomes:
            kept = outcome.illustration.sha256 if outcome.illustration else None
            assert what_if._replay(outcome.attempts, before) == (what_if._Fate(kept), True)
            now, exact = what_if._replay(outcome.attempts, after)
            if now != what_if._Fate(kept):
                place = one.id, outcome.moment.utterance, outcome.moment.description, kept
                flips.append(what_if._flip(DecidedMoment(*place, ""), now, exact=exact))
    return tuple(flips)


CHECKS = ("image_text_match", "aesthetics", "unsafe", "critique")


@settings(max_examples=60, deadline=None)
@given(values=st.dictionaries(st.sampled_from(CHECKS), st.integers(0, 99).map(lambda n: n / 100)))
@pytest.mark.parametrize("folder", ["finished", "critiqued"])
def test_only_moments_that_cannot_change_are_left_out(
    request: pytest.FixtureRequest, folder: str, values: dict[str, float]
) -> None:
    out = request.getfixturevalue(folder) / "out"
    assert moved(out, values).flips == moved_slowly(out, values)


@pytest.mark.parametrize("match", [0.28, 0.33])
def test_a_critique_says_nothing_about_another_candidate(match: float) -> None:
    """The recorded one is about the first; at another threshold, the second is better, and passes."""
    second = 0.29 if match < 0.3 else 0.36
    first = {"match": 0.31, "aesthetics": 0.55 if match < 0.3 else 0.95}
    scores = [first, {"match": second, "aesthetics": 0.95 if match < 0.3 else 0.55}]
    candidates = tuple(
        Candidate(sha256=str(n) * 64, seed=n, model="p", scores={**given, "unsafe": 0.0})
        for n, given in enumerate(scores)
    )
    asked = Critique(questions=(Question(question="a?", satisfied=False),))
    verdict = Verdict(decision=Decision.GIVE_UP, best=0)
    attempt = Attempt(prompt="p", candidates=candidates, critique=asked, verdict=verdict)
    limits = [Threshold("match", match), Threshold("aesthetics", 0.5), Threshold("unsafe", 0.5, True, True)]
    fate, _ = what_if._replay([attempt], what_if._Rules(limits, 0.6, 1, asks_critique=True))
    assert fate.missing == "attempt 1 would pass, but its image was never critiqued"
