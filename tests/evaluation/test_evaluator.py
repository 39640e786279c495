"""Calls outside a run: whose error ends them, and what is asked again."""

import asyncio
from pathlib import Path

import pytest

from magid_agents import config
from magid_agents.agents.answers import InvalidAnswer
from magid_agents.errors import ConfigError
from magid_agents.evaluation.evaluator import Evaluator, open_evaluator
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.runs.outage import Outage
from magid_agents.store.journal import StepRef
from magid_agents.store.rundir import RunDirError
from tests.fake_run import fakes, run
from tests.labelled import script, write_prompt


def test_results_keep_the_order_and_at_most_so_many_run_at_a_time(tmp_path: Path) -> None:
    running = most = 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01 * (3 - item % 3))
        running -= 1
        return item * item

    told: list[int] = []
    settings = config.load(overrides=["concurrency=2"])
    with open_evaluator(settings, tmp_path, open_models=fakes(FakeChat(script), FakePainter())) as evaluator:
        assert evaluator.map(work, range(7), told.append) == [i * i for i in range(7)]
    assert (most, told) == (2, [*range(1, 8)])


@pytest.mark.parametrize(
    ("error", "raised"),
    [(ConfigError("wrong"), ConfigError), (EndpointUnavailable("down"), Outage)],
)
def test_an_error_ends_it_and_what_is_under_way(
    tmp_path: Path, error: Exception, raised: type[Exception]
) -> None:
    cancelled = []

    async def work(item: int) -> None:
        if item == 2:
            raise error
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    opened = open_evaluator(config.load(), tmp_path, open_models=fakes(FakeChat(script), FakePainter()))
    with opened as evaluator, pytest.raises(raised, match=str(error)):
        evaluator.map(work, range(3))
    assert sorted(cancelled) == [0, 1]


def ask(evaluator: Evaluator, prompt: str) -> float | InvalidAnswer:
    settings = config.load(overrides=[f"scanner.prompt={prompt}"])
    services = evaluator.services_for(settings)

    async def work(text: str) -> float:
        values = {"utterances": [{"text": text}], "utterance": 0}
        return await services.yes_probability(StepRef("d", "ask"), prompt, values)

    (found,) = evaluator.map(work, ["look"])
    return found


def test_a_useless_answer_is_a_result_and_asked_for_again_next_time(tmp_path: Path) -> None:
    prompt, said = write_prompt(tmp_path, "mine", "look"), iter(["Maybe", "Yes"])
    chat = FakeChat(lambda *_: next(said))
    open_models = fakes(chat, FakePainter())
    found = []
    for _ in range(3):
        with open_evaluator(config.load(), tmp_path / "out", tmp_path, open_models) as evaluator:
            found.append(ask(evaluator, prompt))
    assert isinstance(found[0], InvalidAnswer)
    assert (found[1:], chat.calls) == ([1.0, 1.0], 2)


def test_a_directory_with_a_run_is_left_alone(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    opened = open_evaluator(
        config.load(), tmp_path / "out", open_models=fakes(FakeChat(script), FakePainter())
    )
    with pytest.raises(RunDirError, match="holds a run"), opened:
        pass


def test_a_request_to_stop_ends_it_as_ctrl_c_does(tmp_path: Path) -> None:
    opened = open_evaluator(config.load(), tmp_path, open_models=fakes(FakeChat(script), FakePainter()))
    with opened as evaluator:

        async def work(_: int) -> None:
            evaluator.services.stop.interrupt("Ctrl-C")
            await asyncio.sleep(30)

        with pytest.raises(KeyboardInterrupt, match="run the same command again"):
            evaluator.map(work, [1])
