"""The report: one file with everything in it, bounded, and nothing in it that should not be shown."""

import base64
import io
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from magid_agents.errors import StopRun
from magid_agents.models.fakes import FakeChat
from magid_agents.prompts import Message
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.viewer import report
from magid_agents.viewer.report import write_report
from tests.cli.command import magid
from tests.fake_run import lines, run, script
from tests.store.test_rejected_images import with_threshold
from tests.viewer.test_security import NASTY, nasty_script


class Audit(HTMLParser):
    """Notes what leads out of the file, and its samples."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.samples = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.outside += [tag] if tag in ("base", "iframe", "object", "link") else []
        self.samples += names.get("class") == "sample"
        self.outside += [name for name in names if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            if not (names.get(name) or "data:").startswith(("data:image/webp", "#", "data:")):
                self.outside.append(f"{name}={names[name]}")


def audited(path: Path) -> Audit:
    audit = Audit()
    audit.feed(path.read_text(encoding="utf-8"))
    return audit


def test_it_holds_everything_that_it_shows(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog", "silence", "nonsense")
    path = write_report(RunDir(tmp_path / "out"))
    assert path == tmp_path / "out" / "report.html"
    audit = audited(path)
    assert (audit.outside, audit.samples) == ([], 5)
    text = path.read_text(encoding="utf-8")
    assert "better: " in text  # a prompt
    assert re.findall(r'data-marks="([a-z ]+)"', text) == [
        "accepted",
        "accepted rewritten",
        "dropped",
        "none",
        "failed",
    ]
    assert text.count("data:image/webp") >= 5
    assert "All 5." in text


def test_its_policy_allows_its_own_script_and_style_alone(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    text = write_report(RunDir(tmp_path / "out")).read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert len(re.findall(r"<script>", text)) == len(re.findall(r"<style>", text)) == 1


def test_hostile_text_is_text(tmp_path: Path) -> None:
    said = [{"speaker": NASTY, "text": NASTY}]
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": NASTY, "utterances": said}) + "\n")
    run(tmp_path, chat=FakeChat(nasty_script))
    path = write_report(RunDir(tmp_path / "out"))
    assert audited(path).outside == []
    assert "<script>alert" not in path.read_text(encoding="utf-8")


def test_the_sample_is_bounded_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_DIALOGUES", 4)
    run(tmp_path, *(f"thing{i}" for i in range(8)), "cake", "nonsense")
    path = write_report(RunDir(tmp_path / "out"), tmp_path / "elsewhere.html")
    assert audited(path).samples == 4
    text = path.read_text(encoding="utf-8")
    assert "A sample of 4 of 10" in text
    assert "cake" in text  # rewritten ones come first


def test_what_failed_safety_cannot_be_made_visible(tmp_path: Path) -> None:
    """The image has two halves of opposite colours; blurred, none of the contrast is left in the file."""
    run(tmp_path, "bad", open_models=with_threshold(0.05))
    rejected = list((tmp_path / "out").glob("rejected/??/*.png"))
    assert rejected
    text = write_report(RunDir(tmp_path / "out")).read_text(encoding="utf-8")
    uris = re.findall(r'class="pic mid blurred" src="data:image/webp;base64,([^"]+)"', text)
    assert uris
    assert "data-unveil" not in text

    def contrast(image: Image.Image) -> float:
        return max(ImageStat.Stat(image.convert("RGB")).stddev)

    sharp = max(contrast(Image.open(path)) for path in rejected)
    assert all(contrast(Image.open(io.BytesIO(base64.b64decode(uri)))) < 0.2 * sharp for uri in uris)


def test_an_image_that_is_gone_leaves_a_gap(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    (record,) = lines(tmp_path / "out" / "dialogues.jsonl")
    (tmp_path / "out" / record["utterances"][0]["images"][0]["path"]).unlink()
    assert write_report(RunDir(tmp_path / "out")).exists()


def test_a_directory_without_a_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="holds no run"):
        write_report(RunDir(tmp_path))


def test_the_command_tells_its_address(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    done = magid("report", str(tmp_path / "out"))
    assert done.stdout.strip() == (tmp_path / "out" / "report.html").as_uri()
    refused = magid("report", str(tmp_path / "out"), "--out", str(tmp_path / "no" / "where.html"))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "cannot be written" in refused.stderr


def test_a_dialogue_under_way_is_not_called_one_without_a_moment(tmp_path: Path) -> None:
    def stopping(messages: Sequence[Message], shape: str) -> str:
        if shape != "SharingMoments" and "cake" in messages[-1].text:
            raise StopRun("enough")
        return script(messages, shape)

    with pytest.raises(StopRun):
        run(tmp_path, "dog", "cake", chat=FakeChat(stopping))
    text = write_report(RunDir(tmp_path / "out")).read_text()
    assert 'data-marks="under_way"' in text
    assert 'data-marks="none"' not in text
