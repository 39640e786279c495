"""Search for better instructions: a large model reads the faults of the present ones and proposes others.

The search is GEPA's (Agrawal et al. 2025, arXiv 2507.19457). Every evaluation and every proposal is a
journaled call, so that a search that was stopped repeats none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.services import Services
from magid_agents.config import ConfigError
from magid_agents.errors import MagidError
from magid_agents.evaluation.evaluator import Evaluator, Progress
from magid_agents.evaluation.improve.instructions import SystemPart
from magid_agents.evaluation.improve.objectives import Example, Judged, Objective
from magid_agents.schemas import ImprovedInstructions
from magid_agents.store.journal import StepRef

REFLECT = "improve/reflect"  # the prompt of the reflecting model
COMPONENT = "system"  # GEPA's name of the text that is searched
MINIBATCH = 3  # dialogues that a proposal is first tried on


def load_gepa() -> tuple[Any, Any]:
    """Return GEPA's search and the class of its evaluations. Raises ConfigError without the package."""
    try:
        from gepa.api import optimize
        from gepa.core.adapter import EvaluationBatch
    except ImportError as error:
        raise ConfigError(
            "magid prompts improve needs the package gepa; pip install 'magid-agents[improve]'"
        ) from error
    return optimize, EvaluationBatch


@dataclass
class Proposal:
    """Instructions that the reflecting model proposed."""

    text: str
    diagnosis: str = ""
    refused: str = ""  # why it was not tried
    search_score: float | None = None  # mean over the search's second half, if it came so far


@dataclass(frozen=True)
class Budget:
    """When a search ends, whichever comes first."""

    evaluations: int  # of a prompt on a dialogue
    proposals: int


class Search:
    """A search over one prompt's system part.

    Args:
        services: the agent's, with the prompt as it stands.
        reflector: services whose chat model proposes.
        spend: called before money is spent, to bring both meters up to date.
        progress: gets the number of evaluations of a dialogue so far.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        part: SystemPart,
        objective: Objective,
        goal: str,
        services: Services,
        reflector: Services,
        spend: Callable[[], None],
        progress: Progress = lambda _: None,
    ) -> None:
        self._evaluator, self._part, self._objective, self._goal = evaluator, part, objective, goal
        self._services, self._reflector, self._spend = services, reflector, spend
        self.proposals: list[Proposal] = []
        self._progress, self._evaluations = progress, 0
        self._error: MagidError | None = None

    def judge(self, text: str, items: Sequence[Any]) -> Judged:
        """Return what the prompt does with these instructions."""
        prompt = self._part.prompt_with(text)
        services = replace(self._services, prompts={**self._services.prompts, prompt.name: prompt})
        try:
            self._spend()
            judged = self._objective.judge(services, items)
        except MagidError as error:
            self._keep_error(error)
            raise
        self._evaluations += len(items)
        self._progress(self._evaluations)
        return judged

    def run(self, train: Sequence[Any], valid: Sequence[Any], budget: Budget, seed: int) -> str:
        """Return the instructions that did best on `valid`, perhaps those that stand.

        Raises ConfigError without the package, and whatever ended an evaluation or a proposal.
        """
        optimize, evaluation_batch = load_gepa()
        adapter: Any = _Adapter(self, evaluation_batch)
        try:
            result: Any = optimize(
                seed_candidate={COMPONENT: self._part.text},
                trainset=list(train),
                valset=list(valid),
                adapter=adapter,
                reflection_minibatch_size=min(MINIBATCH, len(train)),
                max_metric_calls=budget.evaluations,
                stop_callbacks=[lambda _: bool(self._error) or len(self.proposals) >= budget.proposals],
                logger=_Silent(),
                track_best_outputs=False,
                seed=seed,
            )
        except MagidError as error:
            self._keep_error(error)
        if self._error is not None:  # GEPA logs some errors and goes on, which would hide a cost limit
            raise self._error
        scores = zip(result.candidates, result.val_aggregate_scores, strict=True)
        by_text = {candidate[COMPONENT]: score for candidate, score in scores}
        for proposal in self.proposals:
            proposal.search_score = by_text.get(proposal.text)
        return max(by_text, key=lambda text: by_text[text])  # of equals the first, which stands longest

    def propose(self, text: str, examples: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the reflecting model's proposal; None if it cannot be used or is known already."""
        values = {
            "purpose": self._part.prompt.front.description,
            "goal": self._goal,
            "instructions": text,
            "examples": examples,
        }

        async def ask() -> ImprovedInstructions:
            return await self._reflector.ask(
                StepRef(self._part.prompt.name, f"reflect/{len(self.proposals):04d}"),
                REFLECT,
                values,
                ImprovedInstructions,
                lambda found: self._part.find_fault(found.instructions),
            )

        try:
            self._spend()
            (answer,) = self._evaluator.map(lambda _: ask(), [None])
        except MagidError as error:
            self._keep_error(error)
            return None
        if isinstance(answer, InvalidAnswer):
            self.proposals.append(Proposal(answer.raw, refused=answer.problem))
            return None
        proposal = Proposal(answer.instructions.strip(), answer.diagnosis)
        if proposal.text in (self._part.text, *(known.text for known in self.proposals)):
            proposal.refused = "these instructions are known already"
        self.proposals.append(proposal)
        return None if proposal.refused else proposal.text

    def _keep_error(self, error: MagidError) -> None:
        self._error = self._error or error


class _Adapter:
    """What GEPA asks of a system whose prompts it searches."""

    def __init__(self, search: Search, batch: Callable[..., Any]) -> None:
        self._search, self._batch = search, batch

    def evaluate(self, batch: list[Any], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        judged = self._search.judge(candidate[COMPONENT], batch)
        scores = [example.score for example in judged.examples]
        return self._batch(
            outputs=scores, scores=scores, trajectories=list(judged.examples) if capture_traces else None
        )

    def make_reflective_dataset(
        self, _candidate: dict[str, str], evaluated: Any, _components: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        examples: Sequence[Example] = evaluated.trajectories
        shown = [
            {"read": list(e.read), "score": f"{e.score:.2f}", "feedback": list(e.feedback)} for e in examples
        ]
        return {COMPONENT: shown}

    def propose_new_texts(
        self, candidate: dict[str, str], dataset: Mapping[str, Sequence[Any]], _components: list[str]
    ) -> dict[str, str]:
        text = self._search.propose(candidate[COMPONENT], dataset[COMPONENT])
        return {} if text is None else {COMPONENT: text}


class _Silent:
    def log(self, message: str) -> None:
        """Drop a line of the search's own log."""
