"""Plan a run: find out what it would compute, without computing it.

Every dialogue that is not finished goes through the graph with the answers that are in the journal, up to the
first call without an answer. Later calls depend on that answer, so the calls that are counted are a minimum.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from magid_agents.agents.services import PROBE
from magid_agents.agents.state import DIALOGUE, agent_of, kind_of_step
from magid_agents.config import Settings
from magid_agents.dialogue import Dialogue
from magid_agents.formats import BadRecord, Seen
from magid_agents.models import planned
from magid_agents.models.build import Models
from magid_agents.models.protocols import Probing
from magid_agents.runs import garbage, manifest, provenance, session
from magid_agents.runs.dialogue_call import DialogueRunner
from magid_agents.runs.expenses import Took, took_so_far
from magid_agents.runs.manifest import Manifest
from magid_agents.runs.session import ModelsFactory, RunRequest
from magid_agents.store.frozen import FrozenJournal, FrozenRunDir, UnknownCall
from magid_agents.store.journal import Call, StepRef
from magid_agents.store.results import READ, ResultLines
from magid_agents.store.rundir import RunDir

MAX_EXAMPLES = 5  # ids listed for each group of dialogues


@dataclass
class Touched:
    """Some of the dialogues that are decided again."""

    dialogues: int = 0
    examples: list[str] = field(default_factory=list)  # ids of the first

    def add(self, dialogue: str) -> None:
        self.dialogues += 1
        if self.dialogues <= MAX_EXAMPLES:
            self.examples.append(dialogue)


@dataclass
class AgentCalls:
    """The calls that an agent makes at least, and what they take if they take as long as earlier ones."""

    calls: int = 0
    seconds: float = 0.0  # of service, summed over calls that may run at the same time
    dollars: float = 0.0
    unknown: int = 0  # calls of a kind that was never made: in neither seconds nor dollars

    def add(self, calls: int, took: Took | None) -> None:
        self.calls += calls
        if took is None:
            self.unknown += calls
        else:
            self.seconds += calls * took.mean_s
            self.dollars += calls * took.mean_dollars


@dataclass
class Plan:
    """What a run would compute."""

    changes: list[str]  # differences from the run that the directory holds
    needs_update: bool  # the run refuses because of them
    models: dict[str, str]  # why a model is not fully known, by its place in the settings
    dialogues: int = 0  # in the input; the sum of the next five
    finished: int = 0
    new: int = 0
    failed: int = 0  # in an earlier run, to be tried again
    decided_again: int = 0  # finished in an earlier run, with other settings for example
    unreadable: int = 0
    # Decided again, by the agent that makes the first new call, and without any new call.
    touched: dict[str, Touched] = field(default_factory=dict)
    unasked: Touched = field(default_factory=Touched)
    agents: dict[str, AgentCalls] = field(default_factory=dict)

    @property
    def total(self) -> AgentCalls:
        """The calls of all agents."""
        each = self.agents.values()
        return AgentCalls(
            sum(agent.calls for agent in each),
            sum(agent.seconds for agent in each),
            sum(agent.dollars for agent in each),
            sum(agent.unknown for agent in each),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"total": asdict(self.total)}


Progress = Callable[[int, int | None], None]  # number of dialogues done, and in all if that is known


def make_plan(
    request: RunRequest,
    open_models: ModelsFactory | None = None,
    progress: Progress = lambda *_: None,
) -> Plan:
    """Return what a run would compute. Calls no model, writes nothing and takes no lock.

    A request that differs from the run in the directory is planned as if it had `update` set.

    Args:
        open_models: provides the models, which are not called. By default they are found without being
            opened (models.planned).

    Raises MagidError if the run would stop before its first dialogue for another reason than that difference.
    """
    with garbage.relaxed_gc():
        return asyncio.run(_make_plan(request, open_models, progress))


async def _make_plan(request: RunRequest, open_models: ModelsFactory | None, progress: Progress) -> Plan:
    records, prompts, graph, named = session.resolve(request)
    directory = FrozenRunDir(named.path, named.reuse_dirs)
    walk = _Walk()
    others = [RunDir(other) for other in directory.reuse_dirs]
    journals = [directory.journal, *(other.journal for other in others)]
    journal = FrozenJournal(
        journals[0], journals[1:], empty=request.fresh, unanswered=walk.note, computed=[DIALOGUE]
    )
    async with journal:
        with ExitStack() as stack:
            # 1. Find the models, and what differs from the run in the directory.
            old = None if request.fresh else manifest.load(directory)
            if open_models is not None:
                models, notes = stack.enter_context(open_models(request.settings)), dict[str, str]()
            else:
                earlier = [old, *map(manifest.load, others)]
                models, notes = find_models(request.settings, filter(None, earlier), journal)
            new = session.describe(request, prompts, models, graph)
            changes = provenance.differences(old, new, request.inputs) if old else []
            plan = Plan(changes, bool(changes) and not request.update, notes)
            # 2. Follow every dialogue up to its first new call.
            services = session.make_services(request.settings, prompts, models, directory, journal)
            walk.dialogues = DialogueRunner(graph, provenance.digest(new, models), services)
            walk.failed = Seen() if request.fresh else _failed(directory)
            total = session.count(request)
            for record in records:
                await walk.look(record, plan)
                progress(plan.dialogues, total)
    # 3. Estimate the calls by what such calls took so far.
    took = took_so_far(journals)
    for kind, calls in walk.calls.items():
        plan.agents.setdefault(agent_of(kind), AgentCalls()).add(calls, took.get(kind))
    return plan


def find_models(
    settings: Settings, earlier: Iterable[Manifest], journal: FrozenJournal
) -> tuple[Models, dict[str, str]]:
    """Find the models without opening any; each as the first of the earlier runs recorded it, if any did."""
    recorded = planned.Recorded()
    for run in earlier:
        recorded = recorded.extend(provenance.recorded_models(run, settings))

    def probed(model: Probing) -> Mapping[str, Any] | None:
        answer = journal.answer_to(Call(PROBE, model.identity, model.probe_request))
        return answer.value if answer else None

    return planned.find_models(settings, recorded, probed)


def _failed(directory: RunDir) -> Seen:
    """Return the ids of dialogues that failed."""
    failed = Seen()
    for line in ResultLines(directory.failures).rest():
        if line.result["stage"] != READ:
            failed.add(line.result["id"])
    return failed


class _Walk:
    """Follows dialogues through the graph with recorded answers, and counts the calls without one."""

    dialogues: DialogueRunner
    failed: Seen  # before

    def __init__(self) -> None:
        self.calls = Counter[str]()  # without a recorded answer, by kind of step
        self._keys, self._first = Seen(), ""

    def note(self, call: Call, step: StepRef | None) -> None:
        kind = kind_of_step(step.step) if step else call.kind
        self._first = self._first or kind
        if self._keys.add(call.key):  # dialogues that ask the same share the call
            self.calls[kind] += 1

    async def look(self, record: Dialogue | BadRecord, plan: Plan) -> None:
        """Count a record and its calls without an answer."""
        plan.dialogues += 1
        if isinstance(record, BadRecord):
            plan.unreadable += 1
            return
        journal = self.dialogues.services.journal
        assert isinstance(journal, FrozenJournal)
        self._first, found = "", journal.reused[DIALOGUE]
        try:
            await self.dialogues.run(record)
        except* UnknownCall:
            pass
        if journal.reused[DIALOGUE] > found:
            plan.finished += 1
        elif journal.was_answered(StepRef(record.id, DIALOGUE)):
            plan.decided_again += 1
            if self._first:
                plan.touched.setdefault(agent_of(self._first), Touched()).add(record.id)
            else:
                plan.unasked.add(record.id)
        elif not self.failed.add(record.id):
            plan.failed += 1
        else:
            plan.new += 1
