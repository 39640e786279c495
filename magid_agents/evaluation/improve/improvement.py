"""Improve a prompt: search on one half of the dialogues, and promote only what is better on the other."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magid_agents import prompts
from magid_agents.agents.cost import call_cost, section_prices
from magid_agents.agents.services import Services
from magid_agents.config import ConfigError, Settings
from magid_agents.errors import unknown
from magid_agents.evaluation import intervals
from magid_agents.evaluation.evaluator import Evaluator, Progress, open_evaluator
from magid_agents.evaluation.improve.instructions import SystemPart
from magid_agents.evaluation.improve.objectives import (
    ACCEPTED_SHARE,
    AVERAGE_PRECISION,
    F1,
    MARGIN,
    FindsMoments,
    GetsAccepted,
    Judged,
    Objective,
)
from magid_agents.evaluation.improve.projection import Projection, Took
from magid_agents.evaluation.improve.search import MINIBATCH, REFLECT, Budget, Proposal, Search, load_gepa
from magid_agents.evaluation.intervals import Interval, Statistic, bootstrap
from magid_agents.evaluation.scanner import Task
from magid_agents.models import build
from magid_agents.prompt_places import Place
from magid_agents.runs import session
from magid_agents.runs.session import ModelsFactory

MIN_DIALOGUES = 8
# Instructions that stand, and each proposal that looks better, are judged on every dialogue that serves to
# choose: the budget should pay for so many of them.
VALID_PASSES = 5
CHARS_PER_TOKEN = 4  # of English
DEFAULT_BUDGET = Budget(evaluations=200, proposals=10)
GOALS = {
    F1: "F1 of the messages named, against those after which people shared an image",
    AVERAGE_PRECISION: "average precision of the probabilities, against where people shared an image",
    ACCEPTED_SHARE: "share of images that pass every check",
    MARGIN: "1 for an image that passes every check, else how near it comes to the threshold it misses most",
}


@dataclass(frozen=True)
class ImproveRequest:
    """What a user asks for."""

    place: Place
    settings: Settings  # whose prompt at this place is improved
    reflector: Settings  # whose chat model proposes
    items: Sequence[Any]  # labelled dialogues for a scanner, else dialogues
    out: Path
    prompts: Path | None = None
    task: Task = Task.WHOLE
    figure: str | None = None  # by default the first that the agent has
    budget: Budget = DEFAULT_BUDGET


@dataclass(frozen=True)
class Improvement:
    """The best instructions that were found, and what they are worth on dialogues that nothing was chosen on.

    `candidate` and `difference` are None if no proposal did better in the search.
    """

    part: SystemPart
    figure: str
    text: str
    proposals: Sequence[Proposal]
    search_dialogues: tuple[int, int]  # to try proposals on, and to choose between them
    baseline: Interval
    candidate: Interval | None
    difference: Interval | None
    projection: Projection
    cost: float  # dollars of all calls, including those of earlier commands

    @property
    def promoted(self) -> bool:
        """Whether the held-out interval of the difference lies above zero."""
        return self.difference is not None and self.difference.low > 0


def improve(
    request: ImproveRequest,
    announce: Callable[[Projection], None] = lambda _: None,
    progress: Progress = lambda _: None,
    open_models: ModelsFactory | None = None,
    open_reflector: ModelsFactory = build.open_chat,
) -> Improvement:
    """Search for better instructions and measure the best on held-out dialogues.

    Args:
        announce: gets the projection before the search begins.
        progress: gets the number of evaluations of a dialogue so far.
        open_models: yields the agent's models; by default what its agent needs of those the settings name.

    Raises ConfigError if the request cannot be met, or is projected to cost more than `max_cost`, and what
    Evaluator.map raises.
    """
    load_gepa()  # before anything is paid for
    place, scans = request.place, request.place.name == "scanner"
    settings = _settings_for(request)
    name = place.prompt_name(settings)
    assert name is not None
    train, valid, held_out = split(request.items, request.budget.evaluations // VALID_PASSES)
    opener = open_models or (build.open_chat if scans else build.open_models)
    with open_evaluator(settings, request.out, request.prompts, opener) as evaluator:
        objective, figure = _objective(request, evaluator)
        said = [[u.text for u in objective.dialogue(item).utterances] for item in request.items]
        services = evaluator.services_for(settings)
        part = SystemPart(services.prompts[name], place, said)
        with _reflecting(request, evaluator, open_reflector) as (reflector, spend):
            search = Search(evaluator, part, objective, GOALS[figure], services, reflector, spend, progress)
            # 1. Project the cost from a few dialogues.
            few = train[:MINIBATCH]
            _measured(figure, search.judge(part.text, few))
            took = Took.so_far(services.journal.path, [objective.dialogue(item).id for item in few])
            proposal_cost = _proposal_cost(reflector, part)
            projection = took.project(request.budget, len(valid), len(held_out), proposal_cost)
            projection.check(settings.max_cost)
            announce(projection)
            # 2. Search on one half, and measure on the other.
            before = _measured(figure, search.judge(part.text, held_out))
            text = search.run(train, valid, request.budget, settings.seed)
            after = _measured(figure, search.judge(text, held_out)) if text != part.text else None
        spent = evaluator.runner.run(evaluator.services.journal.cost())
    size = len(held_out)
    return Improvement(
        part,
        figure,
        text,
        search.proposals,
        (len(train), len(valid)),
        bootstrap(before, size),
        bootstrap(after, size) if after else None,
        bootstrap(intervals.difference(after, before), size) if after else None,
        projection,
        spent,
    )


def _measured(figure: str, judged: Judged) -> Statistic:
    if figure not in judged.statistics:
        raise ConfigError(
            f"{figure} needs a probability for every utterance, which only prompts with output: YesOrNo "
            f"give, and none of these dialogues got; leave out --figure to use {F1}"
        )
    return judged.statistics[figure]


def split(items: Sequence[Any], most: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Return a quarter to try proposals on, a quarter to choose between them, and the held-out half.

    If a quarter is more than `most`, proposals are tried on what it is more. Dialogues are ordered by a hash
    of their ids, so the order of the file does not matter. Raises ConfigError if there are too few.
    """
    if len(items) < MIN_DIALOGUES:
        raise ConfigError(
            f"{len(items)} dialogues are too few to search on one half and judge on the other; "
            f"give {MIN_DIALOGUES} or more"
        )
    ordered = sorted(items, key=_hash)
    quarter = len(items) // 4
    tried = max(quarter, 2 * quarter - max(most, MIN_DIALOGUES // 4))
    return ordered[:tried], ordered[tried : 2 * quarter], ordered[2 * quarter :]


def _hash(item: Any) -> str:
    dialogue = getattr(item, "dialogue", item)
    return hashlib.sha256(dialogue.id.encode(errors="surrogatepass")).hexdigest()


def _settings_for(request: ImproveRequest) -> Settings:
    """Return the settings with the budget that judges the prompt and spends no more. Raises ConfigError."""
    settings, name = request.settings, request.place.name
    if name not in (known := ("scanner", "write", "rewrite")):
        raise ConfigError(
            f"{name} prompts cannot be improved by search, only those of {', '.join(known)}: others would be "
            "judged by their own answers"
        )
    if request.reflector.chat.provider == "embedded":
        raise ConfigError(
            f"the embedded model {request.reflector.chat.model} is too small to write prompts; name a "
            "profile whose chat model is behind an endpoint with --reflect"
        )
    if name == "write":
        first_only = settings.budget.model_copy(update={"attempts": 1})
        return settings.model_copy(update={"budget": first_only})
    if name == "rewrite" and settings.budget.attempts < 2:
        raise ConfigError("budget.attempts=1 leaves nothing to rewrite; set 2 or more")
    return settings


def _objective(request: ImproveRequest, evaluator: Evaluator) -> tuple[Objective, str]:
    kind = FindsMoments if request.place.name == "scanner" else GetsAccepted
    figure = request.figure or kind.figures[0]
    if figure not in kind.figures:
        raise ConfigError(unknown("figure", figure, kind.figures))
    if kind is FindsMoments:
        return FindsMoments(evaluator, request.task, figure), figure
    return GetsAccepted(evaluator, rewriting=request.place.name == "rewrite"), figure


@contextmanager
def _reflecting(
    request: ImproveRequest, evaluator: Evaluator, open_reflector: ModelsFactory
) -> Iterator[tuple[Services, Callable[[], None]]]:
    """Yield services of the reflecting model over the same journal, and what updates both meters from it."""
    prices = {**request.reflector.prices, **request.settings.prices}
    settings = request.settings.model_copy(update={"chat": request.reflector.chat, "prices": prices})
    loaded = {REFLECT: prompts.load(REFLECT, request.prompts)}
    run, base = evaluator.runner.run, evaluator.services
    with open_reflector(settings) as models:
        services = session.make_services(settings, loaded, models, base.run_dir, base.journal, base.stop)

        def spend() -> None:
            services.meter.spent = base.meter.spent = run(base.journal.cost())

        async def close() -> None:
            async with aclosing(models):
                pass

        try:
            run(services.prepare())
            yield services, spend
        finally:
            run(close())


def _proposal_cost(reflector: Services, part: SystemPart) -> float:
    """Return about the most dollars that a proposal costs, sent back once; 0 if its model has no price."""
    price = section_prices(reflector.settings).get("chat")
    if price is None:
        return 0.0
    longest = sorted(part.lengths, reverse=True)[:MINIBATCH]
    usage = {
        "input_tokens": (len(part.text) + sum(longest)) / CHARS_PER_TOKEN,
        "output_tokens": reflector.settings.chat.max_tokens,
    }
    return 2 * (call_cost(price, usage) or 0.0)
