"""Find, check and render prompt files.

A prompt is a Markdown file with YAML front matter (description, variables, output) and the sections `##
system`, `## user` and `## assistant`, each one chat message, in order. `output` names a schema in
schemas.py, or a user's own as `package.module:Class`; without it, the caller decides. Values are inserted
by a sandboxed Jinja2 with strict undefined. The text of a dialogue is data: it is never a template itself,
and cannot forge a line or tag of the prompt.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, ValidationError

from magid_agents.errors import ConfigError, StopRun, unknown
from magid_agents.registry import import_object
from magid_agents.resources import folder
from magid_agents.schemas import SCHEMAS
from magid_agents.text import as_data
from magid_agents.validation import explain

Role = Literal["system", "user", "assistant"]
FORMER_NAMES = {"scanner/yes_no": "scanner/odds", "critic/yes_no": "critic/odds"}
INSTRUCTIONS = {"style", "instructions"}  # variables that hold the user's own instructions and not data


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, without its checks for the fields of models, which take most of the rendering time."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, BaseModel) and attribute in (fields := vars(obj)):
            return fields[attribute]
        return super().getattr(obj, attribute)


_JINJA = _Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
_MARKS = ("{{", "{%", "{#")
_HEADING = re.compile(r"^## (system|user|assistant)[ \t]*$", re.MULTILINE)


class PromptError(StopRun):
    """A prompt file cannot be used for any dialogue; the message names the file and the fix."""


@dataclass(frozen=True)
class Message:
    """One rendered chat message."""

    role: Role
    text: str


class FrontMatter(BaseModel):
    """The front matter of a prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    description: str
    variables: tuple[str, ...] = ()
    output: str | None = None  # the answer's schema: a name in SCHEMAS, or package.module:Class


@dataclass(frozen=True)
class Prompt:
    """A checked prompt file."""

    name: str  # scanner/few_shot
    path: Path
    front: FrontMatter
    sections: tuple[tuple[Role, str], ...]
    sha256: str

    @cached_property
    def schema(self) -> type[BaseModel] | None:
        """The schema of the answer, if the file names one. Raises PromptError if it cannot be used."""
        output = self.front.output
        if output is None:
            return None
        if output in SCHEMAS:
            return SCHEMAS[output]
        if ":" not in output:
            raise PromptError(f"{self.path}: {unknown('output', output, SCHEMAS, 'or package.module:Class')}")
        try:
            schema = import_object(output, f"{self.path}: output={output}")
        except ConfigError as error:
            raise PromptError(str(error)) from error
        if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
            raise PromptError(f"{self.path}: output={output}: must be a pydantic model, a class of BaseModel")
        return schema

    @cached_property
    def _compiled(self) -> list[tuple[Role, str | Template]]:
        """The sections, compiled once. Those without placeholders, as in few-shot prompts, remain text."""
        return [
            (role, _JINJA.from_string(text) if any(mark in text for mark in _MARKS) else text.strip())
            for role, text in self.sections
        ]

    def render(self, values: Mapping[str, Any]) -> list[Message]:
        """Return the messages with the values inserted, leaving out empty ones.

        Raises PromptError if a declared variable has no value or a template fails.
        """
        if missing := sorted(set(self.front.variables) - set(values)):
            raise PromptError(f"{self.path}: {unknown('variable', missing[0], values)}")
        used = {
            name: values[name] if name in INSTRUCTIONS else as_data(values[name])
            for name in self.front.variables
        }
        try:
            texts = [
                (role, part if isinstance(part, str) else part.render(used).strip())
                for role, part in self._compiled
            ]
        except Exception as error:  # a template may raise anything, such as TypeError
            raise PromptError(f"{self.path}: cannot be rendered: {error}") from error
        return [Message(role, text) for role, text in texts if text]


def load(name: str, override: Path | None = None) -> Prompt:
    """Load the prompt of that name, from `override` if the file exists there, else the one that ships.

    Raises PromptError if there is none, if its file cannot be used, if `override` has it under its old name
    or is no folder of prompts.
    """
    _check_folder(override)
    for place in (override, folder("prompts")):
        if place is None:
            continue
        if (path := place / f"{name}.md").is_file():
            return parse(name, path)
        # Otherwise the shipped text would silently replace the user's own.
        if (old := place / f"{FORMER_NAMES.get(name)}.md").is_file():
            raise PromptError(f"{old}: this prompt is now called {name}; rename the file to {path}")
    renamed = {old: new for new, old in FORMER_NAMES.items()}
    raise PromptError(unknown("prompt", name, names(override), renamed=renamed))


def names(override: Path | None = None) -> list[str]:
    """List all prompts by name, both shipped and in `override`. Raises PromptError if that is no folder."""
    _check_folder(override)
    return sorted(_names_in(folder("prompts")) | own_names(override))


def _check_folder(override: Path | None) -> None:
    """Raise PromptError if the shipped prompts would silently be used in place of the user's own."""
    if override is None:
        return
    if not override.is_dir():
        raise PromptError(f"{override}: is not a folder of prompts; see magid init")
    if any((override / f"{name}.md").is_file() for name in _names_in(folder("prompts"))):
        return
    if (below := override / "prompts").is_dir():
        raise PromptError(f"{override}: holds no prompt that a run uses; did you mean {below}?")
    if not _names_in(override):
        raise PromptError(f"{override}: holds no prompt (*.md); see magid init")


def own_names(override: Path | None) -> set[str]:
    """Return the names of prompts in a user's folder that do not ship."""
    return _names_in(override) - _names_in(folder("prompts")) if override else set()


def _names_in(place: Path) -> set[str]:
    return {path.relative_to(place).with_suffix("").as_posix() for path in place.rglob("*.md")}


def parse(name: str, path: Path) -> Prompt:
    """Read and check one file. Raises PromptError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read as UTF-8: {error}") from error
    return parse_text(name, path, text)


def parse_text(name: str, path: Path, text: str) -> Prompt:
    """Check a prompt's text, as it stands or would stand in the file. Raises PromptError."""
    parts = re.split(r"^---[ \t]*$", text, maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise PromptError(f"{path}: must begin with front matter between two lines of ---")
    try:
        front = FrontMatter.model_validate(yaml.safe_load(parts[1]) or {})
    except ValidationError as error:
        raise PromptError(f"{path}: front matter: {explain(error, FrontMatter, 'key')}") from error
    except yaml.YAMLError as error:
        raise PromptError(
            f"{path}: front matter is not valid YAML: {' '.join(str(error).split())}"
        ) from error
    pieces = _HEADING.split(parts[2])
    if len(pieces) < 3 or pieces[0].strip():
        raise PromptError(f"{path}: the text must begin with ## system, ## user or ## assistant")
    sections = tuple(zip(pieces[1::2], pieces[2::2], strict=True))
    _check_variables(path, front, [text for _, text in sections])
    digest = hashlib.sha256(text.encode()).hexdigest()
    prompt = Prompt(name, path, front, sections, digest)  # type: ignore[arg-type]  # the regex matches roles
    _ = prompt.schema  # raises now, and not in the middle of a run
    return prompt


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
