"""A real search, its author scripted behind a real endpoint: what is promoted, and what it costs."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config, formats, prompt_places
from magid_agents.agents.cost import CostReached
from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue
from magid_agents.evaluation.improve import improvement, report
from magid_agents.evaluation.improve.improvement import Improvement, ImproveRequest, split
from magid_agents.evaluation.improve.projection import Projection
from magid_agents.evaluation.improve.search import Budget
from magid_agents.evaluation.labels import LabelledDialogue
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.prompts import Message
from tests import fake_run
from tests import labelled as double
from tests.fake_run import SETS, fakes, write_input
from tests.labelled import YES_NO, labelled, write_prompt
from tests.servers.endpoint import Api, serving

START = "Answer Yes or No. Words: look."
BETTER = "Answer Yes or No. Words: look made."
WORSE = "Answer Yes or No. Words: hi."
SIZE = 24


class Author:
    """An endpoint whose model proposes these texts one after the other, and answers a scanner's questions."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.read = list(texts), list[str]()

    def __call__(self, body: dict[str, Any]) -> str | None:
        if not (said := body["messages"])[0]["content"].startswith("You improve the instructions"):
            return double.answer(body)
        self.read.append(said[1]["content"])
        text = self.texts.pop(0) if self.texts else START
        return json.dumps({"diagnosis": "a word is missing", "instructions": text})


def dialogues(missed: Callable[[int], str] = lambda _: "made") -> list[LabelledDialogue]:
    """Each has an image that START finds and one that it misses, by the word that `missed` gives."""
    return [labelled(f"d{i}", "hi", "look my dog!", "oh", f"we {missed(i)} {i} cakes!") for i in range(SIZE)]


@pytest.fixture
def endpoint() -> Iterator[Api]:
    with serving(Api()) as api:
        yield api


def request(folder: Path, api: Api, items: Sequence[LabelledDialogue], *sets: str) -> ImproveRequest:
    name = write_prompt(folder, "mine", "look")
    common = [f"chat.base_url={api.url}", "chat.model=m", "scanner.max_images=9", "scanner.min_gap=1"]
    settings = config.load(overrides=[*common, f"scanner.prompt={name}", *sets])
    place = prompt_places.place_called("scanner")
    budget = Budget(evaluations=200, proposals=2)
    return ImproveRequest(place, settings, settings, items, folder / "out", folder, budget=budget)


def improve(folder: Path, api: Api, author: Author, items: Sequence[LabelledDialogue]) -> Improvement:
    api.answer = author
    return improvement.improve(request(folder, api, items))


def test_the_better_proposal_is_promoted_and_the_worse_is_not(tmp_path: Path, endpoint: Api) -> None:
    author = Author(WORSE, BETTER)
    found = improve(tmp_path, endpoint, author, dialogues())
    assert [(p.text, p.search_score) for p in found.proposals] == [(WORSE, None), (BETTER, 1.0)]
    assert (found.promoted, found.text) == (True, BETTER)
    assert (found.search_dialogues, found.baseline.clusters) == ((6, 6), 12)
    assert found.difference is not None
    assert found.baseline.estimate == pytest.approx(2 / 3)
    assert found.difference.low > 0.3
    # The author reads what was missed on dialogues of the search only.
    assert "missed: an image was shared after message 3 (probability 0.15)" in author.read[0]
    held_out = {one.dialogue.id for one in split(dialogues(), 40)[2]}
    told = " ".join(author.read)
    assert not any(f"we made {name.removeprefix('d')} cakes" in told for name in held_out)
    # The result is a file beside the prompt, which is as it was.
    file = report.write(found, tmp_path / "out")
    assert file == tmp_path / "out" / "prompts" / "scanner" / "mine.md"
    assert file.read_text() == YES_NO.format("look made")
    assert (tmp_path / "scanner" / "mine.md").read_text() == YES_NO.format("look")
    diff = (tmp_path / "out" / "improvement.diff").read_text().splitlines()
    assert [line for line in diff if line[0] in "+-" and "Words" in line] == ["-" + START, "+" + BETTER]
    evidence = json.loads((tmp_path / "out" / "evidence.json").read_text())
    assert (evidence["promoted"], evidence["held_out_dialogues"]) == (True, 12)
    assert "Promoted: F1 +0.333 [" in (tmp_path / "out" / "evidence.md").read_text()


def test_a_worse_proposal_alone_promotes_nothing(tmp_path: Path, endpoint: Api) -> None:
    found = improve(tmp_path, endpoint, Author(WORSE), dialogues())
    assert (found.promoted, found.text, found.difference) == (False, START, None)
    assert report.write(found, tmp_path / "out") is None
    assert "no proposal did better" in (tmp_path / "out" / "evidence.md").read_text()


def test_what_is_better_only_where_it_was_chosen_is_not_promoted(tmp_path: Path, endpoint: Api) -> None:
    held_out = [one.dialogue.id for one in split(dialogues(), 40)[2]]
    items = dialogues(lambda i: "grew" if f"d{i}" in held_out[1:] else "made")
    found = improve(tmp_path, endpoint, Author(BETTER), items)
    assert [p.search_score for p in found.proposals if p.text == BETTER] == [1.0]
    assert (found.text, found.promoted) == (BETTER, False)
    assert found.difference is not None
    assert found.difference.estimate > 0  # by the one held-out dialogue that it helps
    file = report.write(found, tmp_path / "out")
    assert file == tmp_path / "out" / "not-promoted" / "scanner" / "mine.md"
    promoted = improve(tmp_path / "other", endpoint, Author(BETTER), dialogues())
    report.write(promoted, tmp_path / "out")
    assert not file.exists()


def test_a_proposal_that_copies_a_chat_is_sent_back_and_then_refused(tmp_path: Path, endpoint: Api) -> None:
    said = "one two three four five six seven eight"
    items = [*dialogues()[:-1], labelled("d23", "hi", f"look {said}!", "oh", "we made it!")]
    copied = f"{BETTER} As in: {said}."
    found = improve(tmp_path, endpoint, Author(copied, copied, BETTER), items)
    assert [p.refused for p in found.proposals] == [f"it copies from a chat: {said!r}", ""]
    assert (found.proposals[1].text, found.promoted) == (BETTER, True)


def test_the_same_command_again_asks_nothing(tmp_path: Path, endpoint: Api) -> None:
    first = improve(tmp_path, endpoint, Author(WORSE, BETTER), dialogues())
    asked = len(endpoint.asked)
    again = improve(tmp_path, endpoint, Author(), dialogues())
    assert len(endpoint.asked) == asked
    assert report.as_dict(again) == report.as_dict(first)


PRICES = ['prices={"m": {"input": 1000, "output": 0}}']  # the endpoint counts 7 tokens a request


def test_the_cost_is_projected_and_a_limit_below_it_refused(tmp_path: Path, endpoint: Api) -> None:
    endpoint.answer = author = Author(WORSE, BETTER)
    told: list[Projection] = []
    wanted = request(tmp_path, endpoint, dialogues(), *PRICES)
    small = replace(wanted, budget=Budget(evaluations=30, proposals=1))
    done: list[int] = []
    improvement.improve(small, told.append, done.append)
    (projected,) = told
    assert projected.evaluations == 30 + (3 + 3 + 6) + 2 * 12
    assert projected.calls == 4 * projected.evaluations + 1
    assert projected.dollars > 4 * projected.evaluations * 0.007
    assert done[-1] <= projected.evaluations + 3  # those that the projection is made from
    limited = request(tmp_path / "other", endpoint, dialogues(), *PRICES, "max_cost=0.5")
    reads, asked = len(author.read), len(endpoint.asked)
    with pytest.raises(ConfigError, match="projected to cost"):
        improvement.improve(limited)
    assert len(author.read) == reads
    assert len(endpoint.asked) - asked < 60  # three dialogues, and what the endpoint can do


def test_the_limit_holds_for_both_models_together(
    tmp_path: Path, endpoint: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.answer = Author(WORSE, BETTER)
    monkeypatch.setattr(Projection, "check", lambda *_: None)
    wanted = request(tmp_path, endpoint, dialogues(), *PRICES, "max_cost=0.4")
    with pytest.raises(CostReached):
        improvement.improve(wanted)
    paid = 0.007 * len(endpoint.asked)
    assert paid <= 0.4 + 0.007 * wanted.settings.chat.concurrency


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"place": prompt_places.place_called("critique")}, "critique prompts cannot be improved"),
        ({"reflector": config.load()}, "the embedded model qwen2.5-coder-1.5b is too small"),
        ({"figure": "recall"}, "Unknown figure 'recall'"),
        ({"items": dialogues()[:7]}, "7 dialogues are too few"),
    ],
)
def test_what_cannot_be_improved_is_said_before_anything_is_asked(
    tmp_path: Path, endpoint: Api, change: dict[str, Any], says: str
) -> None:
    endpoint.answer = Author()
    with pytest.raises(ConfigError, match=says):
        improvement.improve(replace(request(tmp_path, endpoint, dialogues()), **change))
    assert not [body for body in endpoint.asked if "Words: " in json.dumps(body)]


WRITE = """\
---
description: d
variables: [moment]
output: GenerationPrompt
---
## system
{}

## user
It shows: {{{{ moment.description }}}}
"""


def test_a_writers_prompt_is_improved_by_what_passes(tmp_path: Path) -> None:
    """The painter's images of fog never pass; a writer that is told to paint dogs always does."""

    def chat(messages: Sequence[Message], shape: str) -> str:
        if shape == "ImprovedInstructions":
            return json.dumps({"diagnosis": "fog fails", "instructions": "Write dog, always."})
        if shape == "GenerationPrompt" and "always" in messages[0].text:
            return json.dumps({"prompt": "dog"})
        return fake_run.script(messages, shape)

    path = tmp_path / "prompt_writer" / "mine.md"
    path.parent.mkdir()
    path.write_text(WRITE.format("Write what it shows."))
    source = write_input(tmp_path / "in.jsonl", *(f"fog{i}" if i % 3 else f"tree{i}" for i in range(24)))
    items = [record for record in formats.read(source) if isinstance(record, Dialogue)]
    settings = config.load(overrides=[*SETS, "writer.write=prompt_writer/mine"])
    endpoint = settings.model_copy(update={"chat": config.Chat(base_url="http://127.0.0.1:1", model="m")})
    place, budget = prompt_places.place_called("write"), Budget(evaluations=60, proposals=1)
    wanted = ImproveRequest(place, settings, endpoint, items, tmp_path / "out", tmp_path, budget=budget)
    opener = fakes(FakeChat(chat), FakePainter())
    found = improvement.improve(wanted, open_models=opener, open_reflector=opener)
    assert (found.promoted, found.text, found.figure) == (True, "Write dog, always.", "accepted share")
    assert found.baseline.estimate < 0.6
    assert found.candidate is not None
    assert found.candidate.estimate == 1


def test_a_figure_that_the_prompt_cannot_have_is_said(tmp_path: Path, endpoint: Api) -> None:
    endpoint.answer = lambda body: '{"moments": []}' if "<chat>" in json.dumps(body["messages"]) else None
    wanted = request(tmp_path, endpoint, dialogues(), "scanner.prompt=scanner/zero_shot")
    with pytest.raises(ConfigError, match="only prompts with output: YesOrNo"):
        improvement.improve(replace(wanted, figure="average precision"))


def test_halves_do_not_depend_on_the_order() -> None:
    items = dialogues()
    train, valid, held_out = split(items, 40)
    ids = [one.dialogue.id for part in (train, valid, held_out) for one in part]
    assert sorted(ids) == sorted(one.dialogue.id for one in items)
    assert split(items[::-1], 40) == (train, valid, held_out)


def test_many_dialogues_leave_the_budget_for_proposals(tmp_path: Path, endpoint: Api) -> None:
    """Those that serve to choose are judged first: a quarter of many would use up the whole budget."""
    endpoint.answer = Author(BETTER)
    wanted = replace(request(tmp_path, endpoint, dialogues()), budget=Budget(evaluations=12, proposals=2))
    found = improvement.improve(wanted)
    assert found.search_dialogues == (10, 2)
    assert [p.text for p in found.proposals] == [BETTER]
    assert found.promoted


def test_a_search_that_made_no_proposal_says_so(tmp_path: Path, endpoint: Api) -> None:
    endpoint.answer = Author(BETTER)
    wanted = replace(request(tmp_path, endpoint, dialogues()), budget=Budget(evaluations=2, proposals=2))
    assert report.verdict(improvement.improve(wanted)) == "nothing is promoted: no proposal was made"


def test_a_missing_package_is_told_before_anything_is_asked(
    tmp_path: Path, endpoint: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gepa.api", None)
    with pytest.raises(ConfigError, match="needs the package gepa"):
        improvement.improve(request(tmp_path, endpoint, dialogues()))
    assert not endpoint.asked
