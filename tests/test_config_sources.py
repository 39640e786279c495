"""Settings mean the same whichever way they come: a TOML or YAML file, the environment or `--set`."""

import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from annotated_types import Ge, Gt, Le
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from magid_agents.config import Settings, load

# What an environment variable can hold; no DEL, which TOML cannot.
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0\x7f")
texts = st.text(letters, max_size=8).filter(lambda text: text != "null")  # in TOML, that is no text
names = st.text(letters, min_size=1, max_size=5)
json_values = st.booleans() | st.integers(-5, 5) | texts


def values(kind: Any, field: FieldInfo) -> st.SearchStrategy[Any]:
    """Values of a type within a field's bounds."""
    if get_origin(kind) is Annotated:
        kind, field = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of([values(one, field) for one in get_args(kind)])
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is dict:
        return st.dictionaries(names, values(get_args(kind)[1], field), max_size=2)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return sections(kind)
    low: Any = next(
        (m.ge if isinstance(m, Ge) else m.gt for m in field.metadata if isinstance(m, Ge | Gt)), -9
    )
    high: Any = next((m.le for m in field.metadata if isinstance(m, Le)), 999)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(low, high),
        float: st.floats(low, high),
        str: texts,
        Path: texts,
        types.NoneType: st.none(),
        Any: json_values,
    }
    return plain[kind]


def sections(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of a section's fields, those without a default always."""
    fields = {name: values(field.annotation, field) for name, field in model.model_fields.items()}
    must = {name for name, field in model.model_fields.items() if field.is_required()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in must},
        optional={name: fields[name] for name in fields.keys() - must},
    )


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {toml(v)}" for k, v in value.items())
            + "}"
        )
    return json.dumps("null" if value is None else value, ensure_ascii=False)  # TOML has no null


def leaves(table: Mapping[str, Any], model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Any]:
    """The path and text of each setting; a table by names of the user's own stays in one piece."""
    for name, value in table.items():
        kind = model.model_fields[name].annotation
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(value, kind, (*path, name))
        else:
            yield (*path, name), plain(value)


def plain(value: Any) -> str:
    """The text as a user would type it: quoted only where it would be read as something else."""
    if isinstance(value, str):
        try:
            return json.dumps(value) if isinstance(json.loads(value), str | None) else value
        except ValueError:
            return value
    return json.dumps(value)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(sections(Settings))
def test_every_way_gives_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory, given: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    given.get("painter", {}).pop("preset", None)  # names a file
    (folder / "empty.yaml").write_text("{}")
    (folder / "mine.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    try:
        by_yaml = load(str(folder / "mine.yaml"))
    except Exception as error:
        assume(not isinstance(error.__cause__, ValidationError))  # fields that do not go together
        raise
    for section, table in given.items():  # what was set is what is there
        if not isinstance(table, dict):
            assert getattr(by_yaml, section) == table
    lines = [f"{key} = {toml(value)}" for key, value in given.items()]
    (folder / "mine.toml").write_text("\n".join(lines), encoding="utf-8")
    assert load(str(folder / "mine.toml")) == by_yaml
    empty, told = str(folder / "empty.yaml"), list(leaves(given, Settings))
    assert load(empty, overrides=[f"{'.'.join(path)}={text}" for path, text in told]) == by_yaml
    with pytest.MonkeyPatch.context() as environment:
        for path, text in told:
            environment.setenv("MAGID_" + "__".join(path).upper(), text)
        assert load(empty) == by_yaml
