"""Prompt files: found, checked and rendered.

A prompt is a Markdown file with YAML front matter (description, variables, schema) and sections
`## system`, `## user` and `## assistant`, each one chat message, in order. Values are inserted by a
sandboxed Jinja2 with strict undefined: a dialogue's text is data and is never itself a template.
Knows files and text; knows no agent and no model.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, ValidationError

from magid_agents.errors import MagidError, unknown
from magid_agents.resources import folder
from magid_agents.schemas import SCHEMAS

Role = Literal["system", "user", "assistant"]

_JINJA = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)
_HEADING = re.compile(r"^## (system|user|assistant)[ \t]*$", re.MULTILINE)


@lru_cache(maxsize=256)
def _template(text: str) -> Template:
    """Compiled once: compiling costs a hundred times what rendering does."""
    return _JINJA.from_string(text)


class PromptError(MagidError):
    """A prompt file cannot be used; the message names the file and the fix."""


@dataclass(frozen=True)
class Message:
    """One rendered chat message."""

    role: Role
    text: str


class FrontMatter(BaseModel):
    """What a prompt file says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    description: str
    variables: tuple[str, ...] = ()
    output: str | None = None  # the name of the schema of the answer


@dataclass(frozen=True)
class Prompt:
    """A checked prompt file."""

    name: str  # scanner/few_shot
    path: Path
    front: FrontMatter
    sections: tuple[tuple[Role, str], ...]
    sha256: str

    def render(self, values: Mapping[str, Any]) -> list[Message]:
        """The messages with the values in place; empty ones are left out.

        Raises PromptError where a declared variable has no value or a template fails.
        """
        if missing := set(self.front.variables) - set(values):
            raise PromptError(f"{self.path}: no value for {', '.join(sorted(missing))}")
        used = {name: values[name] for name in self.front.variables}
        try:
            texts = [(role, _template(text).render(used).strip()) for role, text in self.sections]
        except TemplateError as error:
            raise PromptError(f"{self.path}: cannot be rendered: {error}") from error
        return [Message(role, text) for role, text in texts if text]


def load(name: str, override: Path | None = None) -> Prompt:
    """The prompt of that name, from `override` where it has the file, else the one that ships.

    Raises PromptError where there is none or its text does not pass the check.
    """
    for place in (override, folder("prompts")):
        if place is not None and (path := place / f"{name}.md").is_file():
            return parse(name, path)
    raise PromptError(unknown("prompt", name, names(override)))


def names(override: Path | None = None) -> list[str]:
    """Every prompt there is, shipped or overriding."""
    found: set[str] = set()
    for place in (override, folder("prompts")):
        if place is not None:
            found |= {str(p.relative_to(place).with_suffix("")) for p in place.rglob("*.md")}
    return sorted(found)


def mistakes(override: Path | None = None) -> Iterator[PromptError]:
    """What is wrong with each prompt file that would be used, and with the schema it names."""
    for name in names(override):
        try:
            prompt = load(name, override)
        except PromptError as error:
            yield error
            continue
        if prompt.front.output is not None and prompt.front.output not in SCHEMAS:
            known = ", ".join(SCHEMAS)
            yield PromptError(f"{prompt.path}: output: {prompt.front.output} is none of {known}")


def parse(name: str, path: Path) -> Prompt:
    """Read and check one file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read as UTF-8: {error}") from error
    parts = re.split(r"^---[ \t]*$", text, maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise PromptError(f"{path}: must begin with front matter between two lines of ---")
    try:
        front = FrontMatter.model_validate(yaml.safe_load(parts[1]) or {})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PromptError(f"{path}: front matter: {wrong}") from error
    except yaml.YAMLError as error:
        raise PromptError(f"{path}: front matter is no YAML: {' '.join(str(error).split())}") from error
    pieces = _HEADING.split(parts[2])
    if len(pieces) < 3 or pieces[0].strip():
        raise PromptError(f"{path}: the text must begin with ## system, ## user or ## assistant")
    sections = tuple(zip(pieces[1::2], pieces[2::2], strict=True))
    _check_variables(path, front, [text for _, text in sections])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Prompt(name, path, front, sections, digest)  # type: ignore[arg-type]  # the regex gives roles


def _check_variables(path: Path, front: FrontMatter, texts: list[str]) -> None:
    used: set[str] = set()
    for text in texts:
        try:
            used |= meta.find_undeclared_variables(_JINJA.parse(text))
        except TemplateSyntaxError as error:
            raise PromptError(
                f"{path}: template: {error.message} (line {error.lineno} of its section)"
            ) from error
    if unknown := used - set(front.variables):
        raise PromptError(f"{path}: {', '.join(sorted(unknown))} used but not declared under variables")
    if unused := set(front.variables) - used:
        raise PromptError(f"{path}: {', '.join(sorted(unused))} declared under variables but not used")
