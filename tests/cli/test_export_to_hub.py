"""`magid export --to hub:OWNER/NAME` pushes a folder, whole, and says what to do if it cannot."""

import subprocess
from pathlib import Path

import pytest

from tests import fake_run
from tests.cli.command import magid
from tests.servers.hub import TOKEN, Repository, serving

NAME = "people/dialogues"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    fake_run.run(tmp_path, "dog", "silence")
    return tmp_path / "out"


def push(
    run: Path, to: Repository | str, *, token: str = TOKEN, name: str = NAME
) -> subprocess.CompletedProcess[str]:
    return magid(
        *("export", str(run), "--to", f"hub:{name}", "--out", str(run.parent / "set")),
        HF_ENDPOINT=to.url if isinstance(to, Repository) else to,
        HF_TOKEN=token,
        HF_HOME=str(run.parent / "home"),
        HF_HUB_DISABLE_XET="1",  # which needs a server of its own
    )


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_folder_is_pushed_whole_to_a_private_repository(run: Path) -> None:
    with serving(NAME) as hub:
        done = push(run, hub)
        assert (done.returncode, done.stdout.splitlines()[0]) == (
            0,
            "2 dialogues, samples: 2 train; 1 images",
        ), done.stderr
        assert done.stderr == f"magid: pushed as {hub.url}/datasets/{NAME}/commit/{1:040x}\n"
        assert hub.files == files(run.parent / "set")
        assert hub.private
        sent = hub.sent
        assert sent == 3
        assert push(run, hub).returncode == 0
        assert hub.sent == sent
        assert hub.files == files(run.parent / "set")


def test_what_an_earlier_push_left_is_replaced(run: Path) -> None:
    """Else the card's pattern would name old shards, and an image that has become unsafe would stay."""
    old = {"data/train-00007.parquet": b"1", "images/ab/cd.png": b"2", "images.parquet": b"3"}
    others = {".gitattributes": b"4", "LICENSE": b"5", "images/chart.svg": b"6"}
    with serving(NAME) as hub:
        hub.files |= old | others
        assert push(run, hub).returncode == 0
        assert hub.files == files(run.parent / "set") | others


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("wrong", "log in by hf auth login, or set HF_TOKEN to a token that may write"),
        ("", "log in by hf auth"),
    ],
)
def test_a_refused_push_is_one_line_and_the_same_command_goes_on(run: Path, token: str, says: str) -> None:
    with serving(NAME) as hub:
        done = push(run, hub, token=token)
        assert done.returncode == 2
        assert says in done.stderr
        assert f"the export is complete in {run.parent / 'set'}" in done.stderr
        assert done.stderr.count("\n") == 1
        assert push(run, hub).returncode == 0
        assert hub.files == files(run.parent / "set")


def test_what_cannot_be_pushed_is_one_line(run: Path) -> None:
    with serving(NAME) as hub:
        gone = hub.url
    for to, name, says in (
        (gone, NAME, "cannot be uploaded"),
        (gone, "dialogues", "must be hub:OWNER/NAME"),
        (gone, "../dialogues", "must be hub:OWNER/NAME"),
    ):
        done = push(run, to, name=name)
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
