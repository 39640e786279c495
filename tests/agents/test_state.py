"""The states of the graphs that ship, as LangGraph's tools see them."""

import pytest

from magid_agents.runs import graph_loader


@pytest.mark.parametrize("name", graph_loader.names())
def test_every_graph_has_json_schemas_of_its_input_and_output(name: str) -> None:
    graph = graph_loader.load(name).graph
    for schema in (graph.get_input_jsonschema(), graph.get_output_jsonschema()):
        assert schema["properties"]["dialogue"]["$ref"].endswith("/Dialogue")
        assert "utterances" in schema["$defs"]["Dialogue"]["properties"]
