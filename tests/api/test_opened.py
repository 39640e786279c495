"""A run directory opened for reading: typed records with images, decisions, failures, and rows for tables."""

import asyncio
import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import magid_agents as magid
from magid_agents.dialogue import Verdict
from magid_agents.models.fakes import FakePainter
from magid_agents.store import results
from magid_agents.store.results import Counts
from tests.fake_run import lines
from tests.own_models import dialogue, options

THINGS = ("dog", "cake", "fog", "nonsense", "silence")


@pytest.fixture
def run(tmp_path: Path) -> magid.Run:
    """One dialogue of each fate: accepted at once, rewritten, dropped, failed, nothing to show."""
    return magid.run([dialogue(thing) for thing in THINGS], tmp_path / "out", progress=False, **options())


def test_records_are_typed_and_in_input_order(run: magid.Run) -> None:
    records = list(run)
    assert [record.id for record in records] == ["dog", "cake", "fog", "silence"]
    assert len(run) == 4
    first, second = records[0].utterances
    assert (first.speaker, first.text, second.illustrations) == ("A", "look at my dog", ())
    (dog,) = first.illustrations
    assert (dog.description, dog.prompt, dog.attempts) == ("a dog", "dog", 1)
    assert dog.scores == {"image_text_match": 0.9, "unsafe": 0.0}
    assert records[1].illustrations[0].attempts == 2
    assert records[2].dropped[0].description == "a fog"


def test_a_record_has_every_field_of_its_line(run: magid.Run) -> None:
    for record, line in zip(run, lines(run.path / "dialogues.jsonl"), strict=True):
        assert json.loads(record.model_dump_json(by_alias=True)) == line


def test_images_open_and_their_paths_begin_at_the_run_directory(
    run: magid.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.move(run.path, tmp_path / "moved")
    (dog,) = magid.open("moved")["dog"].illustrations
    assert dog.image().size == (8, 8)
    assert dog.image().getpixel((7, 7)) != dog.image().getpixel((0, 0))
    assert dog.path == f"images/{dog.sha256[:2]}/{dog.sha256}.png"
    assert dog.file == tmp_path / "moved" / dog.path
    dog.file.write_bytes(b"half")
    with pytest.raises(magid.MagidError, match="cannot be read"):
        dog.image()
    dog.file.unlink()
    with pytest.raises(magid.MagidError, match="the image file no longer exists"):
        dog.image()


def test_a_dialogue_is_found_by_its_id_whatever_it_is_made_of(tmp_path: Path) -> None:
    odd = 'né"\\\n{"id": "dog"}'
    speaker = {"speaker": "dog", "text": "look at my hen"}
    given = [
        {**dialogue("cat"), "id": odd},
        {"id": "hen", "utterances": [speaker]},
        dialogue("dog"),
        {**dialogue("cow"), "id": "do"},
    ]
    run = magid.run(given, tmp_path, **options())
    assert (run[odd].id, run["dog"].id, run["do"].id) == (odd, "dog", "do")
    assert odd in run
    assert "g" not in run
    with pytest.raises(magid.MagidError, match="no finished dialogue has the id 'g'"):
        run["g"]
    escaped = [json.dumps(line) for line in lines(tmp_path / "dialogues.jsonl")]
    (tmp_path / "dialogues.jsonl").write_text("\n".join(escaped))
    assert run[odd].utterances[0].text == "look at my cat"


def test_decisions_and_calls_of_one_dialogue(run: magid.Run) -> None:
    (outcome,) = run.decisions("cake").outcomes
    assert [attempt.prompt for attempt in outcome.attempts] == ["cake", "cake, better: 2"]
    assert all(isinstance(attempt.verdict, Verdict) for attempt in outcome.attempts)
    trace = run.trace("nonsense")
    assert trace.failure is not None
    assert trace.failure.startswith("scanner: ")
    assert [call.kind for call in trace.calls] == ["chat", "chat"]
    assert run.decisions("nonsense").outcomes == ()
    with pytest.raises(magid.MagidError, match="no dialogue has the id 'nothing'"):
        run.decisions("nothing")


def test_counts_and_failures(run: magid.Run) -> None:
    assert run.counts == Counts(dialogues=5, failed=1, accepted=2, rewritten=1, dropped=1, without_image=2)
    (failure,) = run.failures
    assert (failure.id, failure.stage, failure.raw) == ("nonsense", "scanner", "nonsense")
    assert (run.path / "failures.jsonl").exists()


def test_a_run_under_way_shows_what_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "PUBLISH_INTERVAL_S", 0.0)
    monkeypatch.setattr(results, "PUBLISH_MAX_SHARE", float("inf"))
    seen: list[tuple[str, Counts, bool]] = []

    class Looking(FakePainter):
        """Looks at its own run, once the second dialogue of it is published."""

        async def paint(self, prompt: str, seed: int) -> magid.PaintedImage:
            run = magid.open(tmp_path)
            if prompt == "cow":
                for _ in range(3000):
                    if len(run) == 2:
                        break
                    await asyncio.sleep(0.01)
                seen.append((run.status, run.counts, run.trace("cow").finished))
            return await super().paint(prompt, seed)

    magid.run([dialogue("dog")], tmp_path, **options())
    given = options(painter=Looking(), settings={"concurrency": 1})
    magid.run([dialogue(thing) for thing in ("dog", "cat", "cow")], tmp_path, **given)
    assert seen[0] == ("running", Counts(dialogues=2, accepted=2), False)
    assert magid.open(tmp_path).status == "finished"


def test_what_holds_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(magid.MagidError, match="holds no run; name a run directory"):
        magid.open(tmp_path / "nowhere")


def test_a_record_of_another_form_names_what_is_wrong(run: magid.Run) -> None:
    path = run.path / "dialogues.jsonl"
    path.write_text(path.read_text().replace('"attempts": 1', '"attempts": 0'))
    with pytest.raises(magid.MagidError, match=r"the record of 'dog' .*utterances\.0\.images\.0\.attempts"):
        list(run)


def test_what_a_graph_of_ones_own_adds_is_kept(run: magid.Run) -> None:
    path = run.path / "dialogues.jsonl"
    path.write_text(path.read_text().replace('"source"', '"mood": "good", "source"'))
    assert run["dog"].model_extra == {"mood": "good"}


def test_a_table_has_a_row_for_every_image(run: magid.Run) -> None:
    dog, cake = run.rows()
    assert (dog["dialogue"], dog["utterance"], dog["speaker"], dog["attempts"]) == ("dog", 0, "A", 1)
    assert (cake["prompt"], cake["scores.image_text_match"]) == ("cake, better: 2", 0.9)
    assert Path(dog["file"]).exists()


def test_the_table_is_a_data_frame_where_pandas_is_installed(
    run: magid.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("pandas"):
        frame = run.to_pandas()
        assert list(frame["dialogue"]) == ["dog", "cake"]
        assert list(frame.columns) == list(next(run.rows()))
        columns = set(frame.columns)
        run.path.joinpath("dialogues.jsonl").write_text("")
        assert (len(run.to_pandas()), set(run.to_pandas().columns)) == (0, columns)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(magid.MagidError, match="pandas, which is not installed: pip install pandas"):
        run.to_pandas()


def test_reading_changes_no_file(run: magid.Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    opened = magid.open(run.path)
    assert [*opened, *opened.failures, opened.trace("dog"), opened.counts]
    assert {path: path.stat().st_mtime_ns for path in before} == before
