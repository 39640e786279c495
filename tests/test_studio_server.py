"""LangGraph's development server runs the graphs: what Studio asks it for, on fake models."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from magid_agents.store.rundir import RunDir
from tests.test_studio import ROOT, context, dialogue

CONFIG = {
    "dependencies": [str(ROOT)],
    "graphs": {name: f"tests.studio_graphs:{name}" for name in ("magid", "no_qa")},
}
# Neither the command nor the server is to tell anybody what it does.
QUIET = {"LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGSMITH_TRACING": "false"}
PATIENCE_S = 90


@dataclass
class Server:
    """A running server, what it has logged, and its client."""

    process: subprocess.Popen[bytes]
    log: Path
    client: SyncLangGraphClient

    def assistant(self, graph: str) -> str:
        """The id of the assistant that the server makes for a graph."""
        (found,) = self.client.assistants.search(graph_id=graph)
        return found["assistant_id"]

    def begin(self, folder: Path, thing: str) -> tuple[str, str]:
        """Begin a run that has its own thread; return both ids."""
        thread = self.client.threads.create()["thread_id"]
        given = {"dialogue": dialogue(thing)}
        run = self.client.runs.create(thread, "magid", input=given, context=context(folder))
        return thread, run["run_id"]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)


def wait_until(true: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def start(folder: Path) -> Server:
    (folder / "langgraph.json").write_text(json.dumps(CONFIG))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "langgraph_cli",
        "dev",
        "--no-browser",
        "--no-reload",
        "--port",
        str(port),
    ]
    keys = ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")
    environment = {k: v for k, v in os.environ.items() if k not in keys} | QUIET
    with (log := folder / "log").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{address}/ok").is_success
        except httpx.TransportError:
            return False

    wait_until(answers)
    return Server(process, log, get_sync_client(url=address, api_key=None))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


def test_it_tells_the_schemas_and_the_nodes_within(server: Server) -> None:
    assistant = server.assistant("magid")
    schemas: Any = server.client.assistants.get_schemas(assistant)
    assert schemas["input_schema"]["properties"].keys() == {"dialogue"}
    assert schemas["output_schema"]["properties"].keys() == {"record", "out"}
    assert schemas["context_schema"]["properties"]["profile"]["default"] == "embedded"
    nodes = {node["id"] for node in server.client.assistants.get_graph(assistant, xray=True)["nodes"]}
    assert {"magid:scanner", "magid:illustrate:painter", "magid:illustrate:critic"} <= nodes


def test_it_runs_a_dialogue_and_shows_each_step(server: Server, tmp_path: Path) -> None:
    thread = server.client.threads.create()["thread_id"]
    parts = server.client.runs.stream(
        thread,
        "magid",
        input={"dialogue": dialogue("cake")},
        context=context(tmp_path),
        stream_mode=["updates"],
        stream_subgraphs=True,
    )
    steps = [name for part in parts if part.event.startswith("updates") for name in part.data]
    attempt = ["prompt_writer", "painter", "critic"]
    assert steps == ["scanner", *attempt, *attempt, "illustrate", "assemble", "magid"]
    result: Any = server.client.threads.get_state(thread)["values"]
    (image,) = result["record"]["utterances"][0]["images"]
    assert (Path(result["out"]) / image["path"]).is_file()
    assert "Blocking" not in server.log.read_text()


def test_the_client_is_told_what_is_wrong_with_the_input(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="utterances is missing"):
        server.client.runs.wait(None, "magid", input={"dialogue": {"id": "1"}}, context=context(tmp_path))
    with pytest.raises(Exception, match="Unknown profile 'embeded'"):
        server.client.runs.wait(
            None, "no_qa", input={"dialogue": dialogue("dog")}, context={"profile": "embeded"}
        )


def test_a_cancelled_run_leaves_the_directory_free(server: Server, tmp_path: Path) -> None:
    wal = tmp_path / "journal.sqlite-wal"
    thread, run = server.begin(tmp_path, "glacier")
    wait_until(wal.exists)
    server.client.runs.cancel(thread, run, wait=True)
    assert server.client.runs.get(thread, run)["status"] == "interrupted"
    wait_until(lambda: not wal.exists())
    with RunDir(tmp_path).locked():
        pass


def test_the_journal_is_closed_when_the_server_stops(tmp_path: Path) -> None:
    server = start(tmp_path)
    wal = tmp_path / "out" / "journal.sqlite-wal"
    server.begin(tmp_path / "out", "glacier")
    wait_until(wal.exists)
    server.stop()
    assert not wal.exists()
