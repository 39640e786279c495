"""Two runs side by side: where they parted, and what became of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from magid_agents import resources
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.reading.comparison import Difference, compare, compare_dialogue, differing
from magid_agents.reading.index import Index
from magid_agents.store.rundir import RunDir
from tests.fake_run import fakes, run, script, write_input


@contextmanager
def indexes(left: Path, right: Path) -> Iterator[tuple[Index, Index]]:
    with Index.open(RunDir(left)) as first, Index.open(RunDir(right)) as second:
        yield first, second


def compared(left: Path, right: Path) -> dict[str, Difference]:
    with indexes(left, right) as sides:
        return {difference.id: difference for difference in compare(*sides)}


def test_equal_runs_do_not_differ(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "nonsense")
    run(tmp_path, out=tmp_path / "other")
    assert compared(tmp_path / "out", tmp_path / "other") == {}


def test_an_edited_prompt_parts_the_runs_at_its_first_call(tmp_path: Path) -> None:
    edited = tmp_path / "mine" / "prompt_writer" / "rewrite.md"
    edited.parent.mkdir(parents=True)
    edited.write_text(
        (resources.folder("prompts") / "prompt_writer/rewrite.md").read_text() + "\n- Be bold.\n"
    )
    run(tmp_path, "dog", "cake", "fog")
    run(tmp_path, out=tmp_path / "other", prompts=tmp_path / "mine")
    found = compared(tmp_path / "out", tmp_path / "other")
    assert list(found) == ["cake", "fog"]
    cake = found["cake"]
    assert cake.first is not None
    assert cake.first.step == "0000/2/write"
    assert None not in (cake.first.left, cake.first.right)
    assert {call.step.split("/")[1] for call in cake.calls} == {"2"}
    assert cake.outcome_differs  # another prompt, another image
    assert [pair.utterance for pair in cake.moments] == [0]
    assert not found["fog"].outcome_differs
    with indexes(tmp_path / "out", tmp_path / "other") as (left, right):
        assert list(differing(left, right, outcomes_only=True)) == ["cake"]


def strict(settings: Settings) -> AbstractContextManager[Models]:
    """The usual fake models, and a threshold that no image passes."""

    @contextmanager
    def open_models() -> Iterator[Models]:
        with fakes(FakeChat(script), FakePainter())(settings) as models:
            thresholds = [replace(t, value=0.95) if t.check != "unsafe" else t for t in models.thresholds]
            yield replace(models, thresholds=tuple(thresholds))

    return open_models()


def test_a_threshold_alone_differs_in_the_outcome(tmp_path: Path) -> None:
    sets = ["critic.critique=null", "budget.attempts=1"]
    run(tmp_path, "dog", "silence", sets=sets)
    run(tmp_path, out=tmp_path / "other", sets=sets, open_models=strict)
    found = compared(tmp_path / "out", tmp_path / "other")
    assert list(found) == ["dog"]
    assert found["dog"].calls == ()
    assert found["dog"].outcome_differs


def test_what_one_run_has_alone_is_told(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat")
    run(tmp_path, inputs=[write_input(tmp_path / "other.jsonl", "cat", "cow")], out=tmp_path / "other")
    found = compared(tmp_path / "out", tmp_path / "other")
    assert list(found) == ["dog", "cow"]
    assert (found["dog"].right, found["cow"].left) == (None, None)
    assert all(difference.outcome_differs for difference in found.values())


def test_one_dialogue_is_compared_whether_it_differs_or_not(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with Index.open(RunDir(tmp_path / "out")) as index:
        same = compare_dialogue(index, index, "dog")
    assert (same.calls, same.first, same.outcome_differs) == ((), None, False)
    assert same.moments[0].left == same.moments[0].right
