"""The JSON schemas that models are sent: they are part of the key of every recorded answer."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from magid_agents.schemas import SCHEMAS

SENT = json.loads((Path(__file__).parent / "data" / "sent_schemas.json").read_text())


def test_every_schema_is_on_record() -> None:
    assert SENT.keys() == SCHEMAS.keys()


@pytest.mark.parametrize("name", SENT)
def test_a_schema_is_sent_byte_for_byte_as_it_was_when_answers_were_recorded(name: str) -> None:
    assert json.dumps(SCHEMAS[name].model_json_schema()) == json.dumps(SENT[name])


@pytest.mark.parametrize("name", SENT)
def test_its_words_are_data_and_not_its_docstring(name: str) -> None:
    renamed: type[BaseModel] = type("Renamed", (SCHEMAS[name],), {"__doc__": "Reworded."})
    assert renamed.model_json_schema() == SENT[name]
