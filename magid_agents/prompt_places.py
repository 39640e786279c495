"""Where prompts are used: the setting that names each, the answers it may ask for, the variables it gets.

Both a run's start and `magid prompts check` render every prompt with sample values of its place, so that a
mistyped attribute is found before any dialogue starts, and not after images were paid for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from magid_agents import prompts
from magid_agents.config import ConfigError, Settings
from magid_agents.dialogue import (
    Attempt,
    Critique,
    Decision,
    Question,
    SharingMoment,
    Shortfall,
    Utterance,
    Verdict,
)
from magid_agents.errors import unknown
from magid_agents.prompts import Prompt, PromptError
from magid_agents.schemas import (
    CritiqueAnswer,
    Description,
    GenerationPrompt,
    GenerationPrompts,
    Questions,
    SharingMoments,
    YesOrNo,
)

Values = Mapping[str, Any]
WITHOUT_CRITIQUE = {"no_qa", "retrieval"}  # graphs that ask for none, whatever critic.critique is
SOURCES = {  # where the value of each variable comes from
    "utterances": "the dialogue; if the prompt asks about one utterance, only up to that one",
    "utterance": "index of the utterance that is asked about, the first 0",
    "max_images": "scanner.max_images",
    "moment": "the scanner's sharing moment: utterance, speaker, description, rationale",
    "style": "writer.style",
    "token_limit": "the painter",
    "earlier": "the prompts of earlier attempts",
    "last": "the attempt before: prompt, candidates, critique and verdict",
    "prompt": "the generation prompt",
    "seen": "what the image tagger saw: words, each with a score",
    "question": "one of the critique's questions",
}

_UTTERANCES = (Utterance(speaker="A", text="Hi!"), Utterance(speaker="B", text="Look, my dog."))
_MOMENT = SharingMoment(utterance=1, speaker="B", description="a dog", rationale="it is new")
_FULL = Attempt(
    prompt="a dog",
    unpainted="the image is blank",
    critique=Critique(
        questions=(Question(question="Is it a dog?", satisfied=False),), comment="It is a cat."
    ),
    verdict=Verdict(
        decision=Decision.REWRITE,
        best=0,
        shortfalls=(Shortfall(check="aesthetics", score=0.4, threshold=0.5),),
    ),
)
_BARE = Attempt(prompt="a dog", verdict=Verdict(decision=Decision.REWRITE))

_WRITER: Values = {"utterances": _UTTERANCES, "moment": _MOMENT}
_PAINTER: Values = {"style": "short phrases", "token_limit": 77}
_ANY_PAINTER: Values = {"style": "", "token_limit": None}
_WRITE = [{**_WRITER, **painter, "earlier": [], "last": None} for painter in (_PAINTER, _ANY_PAINTER)]
_REWRITE = [
    {**_WRITER, **painter, "earlier": ["a dog"], "last": last}
    for painter, last in ((_PAINTER, _FULL), (_ANY_PAINTER, _BARE))
]
_CRITIQUE = [{"moment": _MOMENT, "prompt": "a dog", "seen": seen} for seen in ([("dog", 0.4)], [])]


@dataclass(frozen=True)
class Place:
    """One place where a prompt is used.

    `samples` maps each answer schema that is allowed here to sample values of the variables, enough of them
    to render every branch of a template. A prompt that names no schema gets the first. `is_used` receives
    the prompts of the places before this one.
    """

    setting: str
    samples: Mapping[type[BaseModel], Sequence[Values]]
    is_used: Callable[[Settings, Mapping[str, Prompt]], bool] = lambda *_: True

    @property
    def name(self) -> str:
        """What commands call it: scanner, describe, write, rewrite, critique or answer; else the setting."""
        section, key = self.setting.split(".")
        if section == "safety":
            return self.setting
        return section if key == "prompt" else key

    def prompt_name(self, settings: Settings) -> str | None:
        """Return the name of the prompt that these settings use here."""
        name: str | None = attrgetter(self.setting)(settings)
        return name

    def choose(self, settings: Settings, prompt: str) -> Settings:
        """Return the settings with this prompt here."""
        section, key = self.setting.split(".")
        changed = getattr(settings, section).model_copy(update={key: prompt})
        return settings.model_copy(update={section: changed})

    def fits(self, prompt: Prompt) -> bool:
        """Return whether the prompt's answer and variables are those of this place."""
        samples = self.samples.get(prompt.schema) if prompt.schema else None
        return samples is not None and samples[0].keys() >= set(prompt.front.variables)

    def check(self, prompt: Prompt) -> None:
        """Raise PromptError unless a run could use the prompt here."""
        schema = prompt.schema or next(iter(self.samples))
        if schema not in self.samples:
            known = ", ".join(one.__name__ for one in self.samples)
            why = f"{self.setting} cannot use the output {schema.__name__}; choose from {known}"
            raise PromptError(f"{prompt.path}: {why}")
        for values in self.samples[schema]:
            prompt.render(values)


PLACES = (
    Place(
        "scanner.prompt",
        {
            SharingMoments: [{"utterances": _UTTERANCES, "max_images": 2}],
            YesOrNo: [{"utterances": _UTTERANCES, "utterance": 1}],
        },
    ),
    Place(
        "scanner.describe",
        {Description: [{"utterances": _UTTERANCES, "utterance": 1}]},
        lambda _, before: before["scanner.prompt"].schema is YesOrNo,
    ),
    Place("writer.write", {GenerationPrompt: _WRITE, GenerationPrompts: _WRITE}),
    Place(
        "writer.rewrite",
        {GenerationPrompt: _REWRITE, GenerationPrompts: _REWRITE},
        lambda settings, _: settings.budget.attempts > 1,
    ),
    Place("critic.critique", {CritiqueAnswer: _CRITIQUE, Questions: _CRITIQUE, YesOrNo: _CRITIQUE}),
    Place(
        "critic.answer",
        {YesOrNo: [{"question": "Is there a dog?"}]},
        lambda _, before: "critic.critique" in before and before["critic.critique"].schema is Questions,
    ),
    Place("safety.prompt", {YesOrNo: [{"prompt": "a dog"}]}),
    Place("safety.judge", {YesOrNo: [{}]}, lambda settings, _: settings.safety.policy is not None),
)


def place_called(name: str) -> Place:
    """Return the place with that name or setting. Raises ConfigError."""
    for place in PLACES:
        if name in (place.name, place.setting):
            return place
    raise ConfigError(unknown("agent", name, [place.name for place in PLACES]))


def use(settings: Settings, name: str, folder: Path | None = None) -> Settings:
    """Return settings that use the prompt: these if they do, else with it in the first place that it fits.

    Raises PromptError if it cannot be loaded or fits no place.
    """
    if any(place.prompt_name(settings) == name for place in PLACES):
        return settings
    prompt = prompts.load(name, folder)
    if place := _place_for(prompt):
        return place.choose(settings, name)
    raise PromptError(f"{prompt.path}: fits no place in the loop with its variables and output")


def load(settings: Settings, folder: Path | None = None) -> dict[str, Prompt]:
    """Load and check every prompt that a run with these settings can use, by name.

    A user's own graph may use the prompts that the settings name for any purpose, so only the files
    themselves are checked. It may also use prompts that no setting names: all prompts in the user's folder
    that do not ship. Raises PromptError.
    """
    own_graph = _is_own(settings.graph)
    loaded: dict[str, Prompt] = {}
    for place in PLACES:
        name = place.prompt_name(settings)
        if name is None or not (own_graph or place.is_used(settings, loaded)):
            continue
        loaded[place.setting] = prompts.load(name, folder)
        if not own_graph:
            place.check(loaded[place.setting])
    usable = list(loaded.values())
    if own_graph:
        usable += [prompts.load(name, folder) for name in sorted(prompts.own_names(folder))]
    return {prompt.name: prompt for prompt in usable}


def _is_own(graph: str) -> bool:
    return ":" in graph


def mistakes(settings: Settings, folder: Path | None = None) -> Iterator[PromptError]:
    """Yield what is wrong with each prompt file.

    A prompt that the settings name must fit the place it is named for, unless the graph is a user's own.
    Any other prompt must fit some place with its variables and its answer schema, if there is such a place.
    """
    named = filter(None, (place.prompt_name(settings) for place in PLACES))
    for name in dict.fromkeys([*prompts.names(folder), *named]):
        try:
            prompt = prompts.load(name, folder)
            places = [place for place in PLACES if place.prompt_name(settings) == name]
            for place in places if not _is_own(settings.graph) else ():
                place.check(prompt)
            if not places:
                _place_for(prompt)
        except PromptError as error:
            yield error


def _place_for(prompt: Prompt) -> Place | None:
    """Return the first place in which a run could use the prompt, or None if there is none for its variables.

    Raises the first place's PromptError if the prompt cannot be rendered in any that it fits.
    """
    first_error = None
    for place in PLACES:
        if not place.fits(prompt):
            continue
        try:
            place.check(prompt)
        except PromptError as error:
            first_error = first_error or error
        else:
            return place
    if first_error:
        raise first_error
    return None
