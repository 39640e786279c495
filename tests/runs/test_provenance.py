"""What counts as a difference between two runs, and what does not."""

from pathlib import Path

import pytest

from magid_agents import config, prompt_places
from magid_agents.models import scorers
from magid_agents.resources import folder
from magid_agents.runs import provenance
from magid_agents.runs.manifest import Manifest
from tests.fake_run import SETS, THRESHOLDS


def describe(*sets: str, prompts: Path | None = None) -> Manifest:
    settings = config.load(overrides=[*SETS, *sets])
    loaded = prompt_places.load(settings, prompts)
    return provenance.describe(settings, loaded, {"chat": "m@1"}, THRESHOLDS, "g@1", [])


def edit(where: Path, *names: str) -> Path:
    for name in names:
        mine = where / f"{name}.md"
        mine.parent.mkdir(parents=True, exist_ok=True)
        text = (folder("prompts") / f"{name}.md").read_text()
        mine.write_text(text.replace("## user\n", "## user\nBe strict.\n", 1))
    return where


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        pytest.param(["seed=7"], ["seed: 0 -> 7"], id="a setting"),
        pytest.param(["painter.quantise=int8"], ["painter.quantise: nothing -> int8"], id="not set before"),
        pytest.param(["scorers.unsafe.device=cpu", "painter.device=cpu"], [], id="where a model runs"),
        pytest.param(["concurrency=3", "chat.timeout=1", "max_cost=3"], [], id="how fast"),
        pytest.param(['prices={"m": {"input": 1}}'], [], id="what it costs"),
        pytest.param(
            ["scanner.describe=x", "critic.answer=y", "safety.judge=z"], [], id="names of unused prompts"
        ),
    ],
)
def test_settings(sets: list[str], expected: list[str]) -> None:
    assert provenance.differences(describe(), describe(*sets)) == expected


def test_a_prompt_counts_only_if_the_settings_can_use_it(tmp_path: Path) -> None:
    unused = edit(
        tmp_path / "unused", "scanner/describe", "critic/answer", "scanner/few_shot", "safety/policy"
    )
    assert provenance.differences(describe(), describe(prompts=unused)) == []
    mine = edit(tmp_path / "mine", "scanner/describe", "critic/answer", "prompt_writer/rewrite")
    one_attempt = "budget.attempts=1"
    assert provenance.differences(describe(one_attempt), describe(one_attempt, prompts=mine)) == []
    assert provenance.differences(describe(), describe(prompts=mine)) == [
        "prompt prompt_writer/rewrite was edited"
    ]
    asks = ["scanner.prompt=scanner/yes_no", "critic.critique=critic/questions", one_attempt]
    assert provenance.differences(describe(*asks), describe(*asks, prompts=mine)) == [
        "prompt critic/answer was edited",
        "prompt scanner/describe was edited",
    ]


def test_a_graph_of_ones_own_may_use_any_prompt() -> None:
    settings = config.load(overrides=[*SETS, "graph=mine.py:graph", "budget.attempts=1"])
    loaded = prompt_places.load(settings)
    assert {"scanner/describe", "critic/answer", "prompt_writer/rewrite"} <= loaded.keys()


def test_what_an_older_version_did_not_have_is_at_its_default() -> None:
    old = describe()
    del old.settings["painter"]["token_limit"], old.settings["budget"]["candidates"]
    del old.thresholds["unsafe"]["blocking"]
    assert provenance.differences(old, describe()) == []
    assert provenance.differences(old, describe("budget.candidates=5")) == ["budget.candidates: nothing -> 5"]
    gone = describe()
    gone.settings["budget"]["patience"] = 3
    assert provenance.differences(gone, describe()) == ["budget.patience: 3 -> nothing"]
    gone.settings["budget"]["patience"] = None
    assert provenance.differences(gone, describe()) == []


def test_a_scorer_that_came_or_went_is_told_once() -> None:
    def scored(*sets: str) -> Manifest:
        settings = config.load(overrides=[*SETS, *sets])
        thresholds = [scorers.threshold(check, scorer) for check, scorer in settings.scorers.items()]
        models = {f"scorers.{check}": scorer.model for check, scorer in settings.scorers.items()}
        return provenance.describe(settings, prompt_places.load(settings), models, thresholds, "g@1", [])

    fewer = scored("scorers.aesthetics=null", "scorers.image_text_match.threshold=0.3")
    assert provenance.differences(scored(), fewer) == [
        "scorers.aesthetics was taken out",
        "thresholds.image_text_match.value: 0.26 -> 0.3",
    ]
    assert provenance.differences(fewer, scored("scorers.image_text_match.threshold=0.3")) == [
        "scorers.aesthetics was added"
    ]


def test_a_scorers_own_arguments_are_compared_whatever_they_are_called() -> None:
    old = describe()
    new = describe('scorers.aesthetics.arguments={"device": "cpu", "model": "x"}')
    assert provenance.differences(old, new) == [
        "scorers.aesthetics.arguments: {} -> {'device': 'cpu', 'model': 'x'}"
    ]
    for scorer in old.settings["scorers"].values():  # as an older version wrote it
        del scorer["arguments"]
    assert provenance.differences(old, describe()) == []


def test_a_users_own_prompts_count_only_for_a_users_own_graph(tmp_path: Path) -> None:
    before = describe("graph=mine.py:graph"), describe()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "style.md").write_text("---\ndescription: d\n---\n## user\nWhich style?\n")
    after = describe("graph=mine.py:graph", prompts=tmp_path), describe(prompts=tmp_path)
    assert [provenance.differences(*pair) for pair in zip(before, after, strict=True)] == [
        ["prompt mine/style was edited"],
        [],
    ]


def test_models_thresholds_graph_and_shard() -> None:
    old, new = describe(), describe()
    new.models = {"chat": "m@2", "painter": "p@1"}
    new.thresholds["unsafe"]["value"] = 0.4
    new.graph, new.shard = "g@2", "1/2"
    assert provenance.differences(old, new) == [
        "models.chat: m@1 -> m@2",
        "models.painter: nothing -> p@1",
        "thresholds.unsafe.value: 0.5 -> 0.4",
        "graph: g@1 -> g@2",
        "shard: nothing -> 1/2",
    ]
