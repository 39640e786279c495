"""Call agents about many dialogues, outside a run: the models and a journal, open for as long as needed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from magid_agents import prompt_places
from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.services import Services
from magid_agents.agents.stopping import Interrupted
from magid_agents.config import Settings
from magid_agents.models import build
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.runs import session
from magid_agents.runs.admission import Admission
from magid_agents.runs.dialogue_call import unwrap
from magid_agents.runs.outage import Outage
from magid_agents.runs.session import ModelsFactory
from magid_agents.store.rundir import RunDir, RunDirError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int], None]  # gets the number of items done


@dataclass(frozen=True)
class Evaluator:
    """Open models and an open journal."""

    services: Services
    runner: asyncio.Runner
    prompts: Path | None = None  # a folder whose files replace the prompts that ship

    def services_for(self, settings: Settings) -> Services:
        """Return services with other settings and the prompts that they name. The models are the same.

        Raises PromptError.
        """
        return replace(self.services, settings=settings, prompts=prompt_places.load(settings, self.prompts))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await one piece of work. Raises what it raises; KeyboardInterrupt on Ctrl-C or SIGTERM."""
        results: list[Result] = []

        async def collect() -> None:
            results.append(await work)

        try:
            self.runner.run(self.services.stop.unless_requested(collect()))
        except Interrupted as error:
            raise KeyboardInterrupt(str(error)) from None
        return results[0]

    def map(
        self,
        work: Callable[[Item], Awaitable[Result]],
        items: Sequence[Item],
        progress: Progress = lambda _: None,
    ) -> list[Result | InvalidAnswer]:
        """Return the result for each item, in order; the answer's fault if a model answered nonsense.

        Raises every other error of the work at once, since figures over the rest would be of another sample;
        KeyboardInterrupt on Ctrl-C or SIGTERM.
        """
        return self.run(self._map(work, items, progress))

    async def _map(
        self, work: Callable[[Item], Awaitable[Result]], items: Sequence[Item], progress: Progress
    ) -> list[Result | InvalidAnswer]:
        admission, done = Admission(self.services.settings), 0

        async def one(item: Item) -> Result | InvalidAnswer:
            nonlocal done
            async with admission.admit():
                try:
                    result: Result | InvalidAnswer = await work(item)
                except InvalidAnswer as error:
                    await self.services.journal.reject(error.keys, str(error))  # so that it is asked again
                    result = error
            done += 1
            progress(done)
            return result

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(item)) for item in items]
        except ExceptionGroup as errors:
            error = unwrap(errors)
            if isinstance(error, EndpointUnavailable):
                raise Outage(f"{error}; run the same command again: no answer is lost") from error
            raise error from None
        return [task.result() for task in tasks]


@contextmanager
def open_evaluator(
    settings: Settings, out: Path, prompts: Path | None = None, open_models: ModelsFactory = build.open_models
) -> Iterator[Evaluator]:
    """Open models, and the journal in `out`, which holds no run.

    Raises a MagidError that names what to change if the directory or a model cannot be used.
    """
    directory = RunDir(out)
    if directory.manifest.exists():
        raise RunDirError(f"{out}: holds a run, whose trace would be overwritten; choose another --out")
    with directory.locked(), open_models(settings) as models, asyncio.Runner() as runner:
        services = session.make_services(settings, {}, models, directory, session.make_journal(directory))
        stack = AsyncExitStack()
        with services.stop.on_signals(runner.get_loop()):
            try:
                runner.run(stack.enter_async_context(services.journal))
                runner.run(stack.enter_async_context(aclosing(models)))
                evaluator = Evaluator(services, runner, prompts)
                evaluator.run(session.prepare(services))
                yield evaluator
            finally:
                runner.run(stack.aclose())
