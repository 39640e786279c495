"""The system part of a prompt file: replace it, and say whether a proposal may take its place."""

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from magid_agents import prompts
from magid_agents.config import ConfigError
from magid_agents.prompt_places import Place
from magid_agents.prompts import Prompt, PromptError

COPIED_WORDS = 8  # in a row: fewer occur by chance in any English
_SYSTEM = re.compile(r"^## system[ \t]*\n(.*?)(?=^## (?:system|user|assistant)[ \t]*$|\Z)", re.M | re.S)
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class SystemPart:
    """A prompt whose system part is to be improved; the rest of the file stays as it is."""

    prompt: Prompt
    place: Place
    dialogues: Sequence[Sequence[str]]  # their utterances, which no proposal may copy

    @cached_property
    def _file(self) -> str:
        return self.prompt.path.read_text(encoding="utf-8")

    @property
    def text(self) -> str:
        """The system part as it stands. Raises ConfigError if there is none."""
        found = _SYSTEM.search(self._file)
        if found is None:
            raise ConfigError(f"{self.prompt.path}: has no ## system part to improve; add one")
        return found[1].strip()

    @property
    def lengths(self) -> list[int]:
        """The characters of each dialogue."""
        return [sum(map(len, said)) for said in self.dialogues]

    def file_with(self, text: str) -> str:
        """Return the file with another system part."""
        return _SYSTEM.sub(lambda _: f"## system\n{text.strip()}\n\n", self._file, count=1)

    def prompt_with(self, text: str) -> Prompt:
        """Return the prompt with another system part. Raises PromptError."""
        return prompts.parse_text(self.prompt.name, self.prompt.path, self.file_with(text))

    def find_fault(self, text: str) -> str | None:
        """Return why a proposal cannot be used, in words for its author, or None."""
        if not text.strip():
            return "the instructions are empty"
        if _placeholders(text) != (wanted := _placeholders(self.text)):
            return f"the placeholders must be exactly these: {', '.join(sorted(wanted)) or 'none'}"
        try:
            changed = self.prompt_with(text)
            self.place.check(changed)
        except PromptError as error:
            return str(error).removeprefix(f"{self.prompt.path}: ")
        if [role for role, _ in changed.sections] != [role for role, _ in self.prompt.sections]:
            return "the instructions must not begin another section, such as ## user"
        if copied := self._copied_phrase(text):
            return f"it copies from a chat: {copied!r}"
        return None

    def _copied_phrase(self, text: str) -> str | None:
        return next((phrase for phrase in _phrases([text]) if phrase in self._foreign_phrases), None)

    @cached_property
    def _foreign_phrases(self) -> Set[str]:
        """Phrases of the dialogues that are not in the prompt file itself."""
        return _phrases(text for said in self.dialogues for text in said).keys() - _phrases([self._file])


def _placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


def _phrases(texts: Iterable[str]) -> dict[str, None]:
    """Return all runs of so many words, in order."""
    words = (_WORD.findall(text.lower()) for text in texts)
    return {
        " ".join(of_one[i : i + COPIED_WORDS]): None
        for of_one in words
        for i in range(len(of_one) - COPIED_WORDS + 1)
    }
