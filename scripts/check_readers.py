"""Read exports by libraries that cannot be installed beside this program, in environments made for them.

`python -m scripts.check_readers [--folder DIR]` exports awkward dialogues, installs each reader into a folder
of DIR, unless it is there, reads the export by it, and prints what was found. The exit status is 1 if one of
them lost or changed a text or an image. The packages come from the package index that pip is set up for.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.turns import Policy, to_conversations
from magid_agents.export.writer import PLACEHOLDER
from magid_agents.resources import cache_folder
from tests import fake_run
from tests.export.samples import DIALOGUES, write_records

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Reader:
    """A library, and the script in scripts/readers that reads an export by it.

    Args:
        alone: it has an environment of its own; otherwise it lies beside the packages of this one, without
            its dependencies, which exclude some of them.
    """

    script: str
    to: str
    packages: Sequence[str]
    alone: bool = False


READERS = {
    "datasets 3.0.0": Reader("datasets_rows", "parquet", ["datasets==3.0.0", "pillow"], alone=True),
    "LLaMA-Factory 0.9.5": Reader("llama_factory", "sharegpt", ["llamafactory==0.9.5", "peft"]),
    "qwen-vl-utils 0.0.14": Reader("qwen", "llava", ["qwen-vl-utils==0.0.14", "av"]),
}


def read(reader: Reader, exported: Path, environments: Path) -> list[dict[str, Any]]:
    """Return the samples that the reader's script prints."""
    folder = environments / reader.script
    ready = folder / "ready"
    python = folder / "bin/python" if reader.alone else Path(sys.executable)
    if not ready.exists():
        if reader.alone:
            venv.create(folder, clear=True, with_pip=True)
        where = [] if reader.alone else ["--no-deps", "--target", str(folder)]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *where, *reader.packages], check=True)
        ready.touch()
    path = "" if reader.alone else f"{folder}{os.pathsep}{ROOT}"
    script = ROOT / f"scripts/readers/{reader.script}.py"
    command = [python, script, exported]
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    samples: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return samples


def expected() -> list[tuple[str, list[str], list[list[int]]]]:
    """Return id, words of each turn and colour of each image of every sample, as the export was made."""
    found = []
    for name, utterances in DIALOGUES.items():
        (one,), _ = to_conversations(utterances, Policy())
        colours = [list(hashlib.sha256(i.description.encode()).digest()[:3]) for i in one.images]
        found.append((name, [words(turn.text) for turn in one.turns], colours))
    return found


def words(text: str) -> str:
    """Return the text without placeholders, which each format has in a place of its own."""
    return " ".join(text.replace(PLACEHOLDER, " ").split())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=cache_folder("readers"))
    args = parser.parse_args()
    wrong = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fake_run.run(folder, "silence")
        write_records(folder / "out", DIALOGUES)
        for name, reader in READERS.items():
            exported = folder / reader.to
            export(ExportRequest([folder / "out"], reader.to, exported))
            samples = read(reader, exported, args.folder)
            found = [(s["id"], [*map(words, s["texts"])], s["colours"]) for s in samples]
            wrong |= found != expected()
            verdict = "are NOT what was exported" if found != expected() else "are what was exported"
            print(f"{name}: {len(found)} samples of {reader.to} {verdict}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
