"""The command as users meet it: its own process, real HTTP servers, odd names, stops at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from magid_agents.prompts import Message
from magid_agents.schemas import SCHEMAS
from tests.fake_run import lines, script, write_input
from tests.servers.endpoint import Api, serving
from tests.servers.model import last_words, stated_schema
from tests.servers.refusals import Refusal

THINGS = ("dog", "cat", "cow", "hen", "owl", "pig")
PAUSE_S = 0.05  # of every answer, so that a run can be stopped in its midst


def answer(body: dict[str, Any]) -> str | None:
    """What the scripted model says to the requests of a run; the rest is the server's own words."""
    schema = stated_schema(body)
    if schema is None or schema.name not in SCHEMAS:
        return None
    time.sleep(PAUSE_S)
    return script([Message("user", last_words(body))], schema.name)


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api(answer)) as server:
        yield server


@pytest.fixture
def profile(tmp_path: Path, api: Api) -> Path:
    """Chat and painter on the server, the loop without its judgement: only the real safety check is asked."""
    path = tmp_path / "profile.toml"
    path.write_text(
        f"""
        graph = "no_qa"
        concurrency = 2
        [chat]
        provider = "openai"
        model = "m"
        base_url = "{api.url}"
        retries = 0
        timeout = 20
        [painter]
        backend = "images_endpoint"
        model = "p"
        base_url = "{api.url}"
        retries = 0
        timeout = 20
        [scanner]
        prompt = "scanner/zero_shot"
        [writer]
        write = "prompt_writer/write"
        [critic]
        critique = "critic/text"
        [prices.m]
        input = 1000
        output = 0
        [prices.p]
        image = 0.01
        """,
        encoding="utf-8",
    )
    return path


Command = Callable[..., "subprocess.CompletedProcess[str]"]


def start(*words: object, cwd: Path) -> "subprocess.Popen[str]":
    """Begin the command with no key, proxy or setting from the outside."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "MAGID_SET"))}
    return subprocess.Popen(
        [sys.executable, "-m", "magid_agents", *map(str, words)],
        cwd=cwd,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )


@pytest.fixture
def magid(tmp_path: Path) -> Command:
    def run(*words: object, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        process = start(*words, cwd=cwd or tmp_path)
        out, err = process.communicate(timeout=240)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess([str(word) for word in words], process.returncode, out, err)

    return run


def ids(path: Path) -> list[str]:
    return [record["id"] for record in lines(path)]


def images(out: Path) -> list[Path]:
    records = lines(out / "dialogues.jsonl")
    return [out / image["path"] for r in records for u in r["utterances"] for image in u["images"]]


@pytest.mark.parametrize("name", ["exp#2, 100%?", "Bücher-本"])
def test_a_directory_of_any_name_is_run_in_traced_and_resumed(
    tmp_path: Path, profile: Path, api: Api, magid: Command, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    write_input(folder / "in put.jsonl", "dog")
    given = ("run", Path(name) / "in put.jsonl", "--out", Path(name) / "out", "--profile", profile)
    first = magid(*given)
    assert first.returncode == 0, first.stderr
    asked = len(api.asked)
    # The same input by its absolute path, from another directory.
    again = magid(
        *("run", folder / "in put.jsonl", "--out", folder / "out", "--profile", profile), cwd=folder
    )
    assert (again.returncode, len(api.asked)) == (0, asked)
    assert all(path.is_file() for path in images(folder / "out"))
    before = sorted(p.name for p in tmp_path.iterdir())
    traced = magid("trace", Path(name) / "out", "--json")
    assert (traced.returncode, json.loads(traced.stdout)["id"]) == (0, "dog")
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_ids_are_data_whatever_stands_in_them(tmp_path: Path, profile: Path, magid: Command) -> None:
    hostile = ["../../etc/passwd", "\x1b[2J\x1b]0;title\x07", "a/b", "..", "<script>", "dog' OR 1=1 --", "😀"]
    said = [{"speaker": "A", "text": "look at my dog \x1b[31m"}]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"id": i, "utterances": said}) + "\n" for i in hostile))
    done = magid("run", source, "--out", "out", "--profile", profile)
    assert (done.returncode, ids(tmp_path / "out" / "dialogues.jsonl")) == (0, hostile)
    assert {p.parent.parent.name for p in (tmp_path / "out").rglob("*.png")} == {"images"}
    shown = magid("trace", "out")
    assert shown.returncode == 0
    assert "\x1b]0;" not in shown.stdout + shown.stderr
    assert "\x1b[2J" not in shown.stdout + shown.stderr
    one = magid("trace", "out", "../../etc/passwd", "--json")
    assert json.loads(one.stdout)["id"] == "../../etc/passwd"


def test_inputs_of_one_name_and_a_broken_record_go_through_parts_and_merge(
    tmp_path: Path, profile: Path, magid: Command
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        text = "".join(f"look at my {thing} __eou__ oh __eou__\n" for thing in THINGS[:3])
        (tmp_path / folder / "chat.txt").write_text(text + f"nothing ends here, {folder}\n")
    given = ("a/chat.txt", "b/chat.txt", "--profile", profile)
    whole = magid("run", *given, "--out", "whole")
    assert whole.returncode == 3
    assert len(set(ids(tmp_path / "whole" / "dialogues.jsonl"))) == 6
    assert ids(tmp_path / "whole" / "failures.jsonl") == ["chat.txt:4", "chat.txt:4~2"]
    for number in (1, 2):
        part = magid("run", *given, "--out", f"part{number}", "--shard", f"{number}/2")
        failures = tmp_path / f"part{number}" / "failures.jsonl"
        assert part.returncode == (3 if ids(failures) else 0), part.stderr
    merged = magid("merge", "part1", "part2", "--out", "merged")
    assert merged.returncode == 0, merged.stderr
    for name in ("dialogues.jsonl", "failures.jsonl"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_equal_dialogues_cost_one_of_them(tmp_path: Path, profile: Path, api: Api, magid: Command) -> None:
    said = [{"speaker": "A", "text": "look at my dog"}]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"id": f"d{i}", "utterances": said}) + "\n" for i in range(8)))
    done = magid("run", source, "--out", "out", "--profile", profile, "--set", "budget.candidates=1")
    assert done.returncode == 0
    scans = [
        schema
        for body in api.asked
        if "messages" in body and (schema := stated_schema(body)) and schema.name == "SharingMoments"
    ]
    assert len(scans) == 1
    assert len(lines(tmp_path / "out" / "dialogues.jsonl")) == 8


def test_whoever_reaches_the_cost_limit_has_a_dataset_and_goes_on_with_a_higher_one(
    tmp_path: Path, profile: Path, magid: Command
) -> None:
    source = write_input(tmp_path / "in.jsonl", *THINGS)
    given = ("run", source, "--out", "out", "--profile", profile, "--concurrency", "1")
    stopped = magid(*given, "--max-cost", "0.1")
    assert stopped.returncode == 4, stopped.stderr
    assert "cost limit" in stopped.stderr
    some = ids(tmp_path / "out" / "dialogues.jsonl")
    assert 0 < len(some) < len(THINGS)
    assert some == list(THINGS[: len(some)])
    manifest = json.loads((tmp_path / "out" / "run.json").read_text())
    assert manifest["status"] == "interrupted"
    finished = magid(*given, "--max-cost", "100")
    assert (finished.returncode, ids(tmp_path / "out" / "dialogues.jsonl")) == (0, list(THINGS))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_run_stopped_at_random_moments_gives_the_dataset_of_an_undisturbed_one(
    tmp_path: Path, profile: Path, api: Api, magid: Command, how: signal.Signals
) -> None:
    source = write_input(tmp_path / "in.jsonl", *THINGS)
    given = ("run", source, "--profile", profile, "--out")
    rng = random.Random(int(how))
    finished = 0
    for _ in range(3):
        asked = len(api.asked)
        process = start(*given, "stopped", cwd=tmp_path)
        manifest = tmp_path / "stopped" / "run.json"  # written once the endpoint is known
        while (len(api.asked) == asked or not manifest.exists()) and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 6 * PAUSE_S))
        process.send_signal(how)
        _, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        if process.returncode == 0:  # it had ended before the signal came
            break
        assert process.returncode == 130, err
        quiet = len(api.asked)
        assert json.loads(manifest.read_text())["status"] == "interrupted"
        done = ids(tmp_path / "stopped" / "dialogues.jsonl")
        assert done == [thing for thing in THINGS if thing in done]
        assert len(done) >= finished
        finished = len(done)
        assert len(api.asked) == quiet
    assert magid(*given, "stopped").returncode == 0
    assert magid(*given, "undisturbed").returncode == 0
    stopped, undisturbed = (tmp_path / name / "dialogues.jsonl" for name in ("stopped", "undisturbed"))
    assert stopped.read_bytes() == undisturbed.read_bytes()


def test_an_endpoint_that_goes_down_stops_the_run_and_one_that_comes_back_finishes_it(
    tmp_path: Path, profile: Path, api: Api, magid: Command
) -> None:
    many = [f"dog-{i}" for i in range(40)]
    given = ("run", write_input(tmp_path / "in.jsonl", *many), "--out", "out", "--profile", profile)
    calls_until_down = iter([None] * 20)
    api.faults = iter(lambda: next(calls_until_down, "500"), object())
    down = magid(*given)
    assert down.returncode == 4, down.stderr
    assert len(down.stderr.strip().splitlines()) == 1
    assert "run the same command again" in down.stderr
    some = ids(tmp_path / "out" / "dialogues.jsonl")
    assert 0 < len(some) < 10
    api.faults = iter(())
    up = magid(*given)
    assert (up.returncode, ids(tmp_path / "out" / "dialogues.jsonl")) == (0, many)
    assert lines(tmp_path / "out" / "failures.jsonl") == []


def test_an_account_without_balance_is_one_line_and_nothing_is_lost(
    tmp_path: Path, profile: Path, api: Api, magid: Command
) -> None:
    source = write_input(tmp_path / "in.jsonl", *THINGS)
    api.refused = lambda _: Refusal(402, "Insufficient Balance")
    broke = magid("run", source, "--out", "out", "--profile", profile)
    assert broke.returncode in (2, 4)
    (line,) = broke.stderr.strip().splitlines()
    assert line.startswith("magid: chat: ")
    api.refused = lambda _: None
    assert magid("run", source, "--out", "out", "--profile", profile).returncode == 0
