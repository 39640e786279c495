"""All formats together: telling them apart, unusable input, ids, memory, and that no bytes do harm."""

import contextlib
import json
import os
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.dialogue import Dialogue
from magid_agents.errors import ConfigError
from magid_agents.formats import FORMATS, BadRecord, FormatError, Seen, detect, read
from tests.formats.helpers import faults, ids, outcome, real

SAID = "Something that people say to each other, at some length. " * 8


def native(number: int) -> str:
    return json.dumps({"id": str(number), "utterances": [{"speaker": "A", "text": SAID}]}) + "\n"


def photochat(number: int) -> str:
    said = [{"message": SAID, "share_photo": False, "user_id": 0}]
    return ("," if number else "[") + json.dumps({"dialogue": said, "dialogue_id": number}, indent=1)


def openai(_: int) -> str:
    return json.dumps({"messages": [{"role": "user", "content": SAID}]}) + "\n"


def sharegpt(number: int) -> str:
    return ("," if number else "[") + json.dumps({"conversations": [{"from": "human", "value": SAID}]})


def dailydialog(_: int) -> str:
    return f"{SAID} __eou__ {SAID} __eou__\t1\t1 1\t0 0\n"


def personachat(_: int) -> str:
    return f'"I bake.\nI knit.","I ski.","User 1: {SAID}\nUser 2: Hello"\n'


WRITERS: dict[str, Callable[[int], str]] = {
    w.__name__: w for w in (native, photochat, openai, sharegpt, dailydialog, personachat)
}


def test_there_is_a_writer_for_every_format_of_text() -> None:
    assert WRITERS.keys() == FORMATS.shipped.keys() - {"parquet"}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n \r\n"])
@pytest.mark.parametrize("count", [1, 3, 300])
def test_a_format_is_told_by_its_content(tmp_path: Path, name: str, mark: str, count: int) -> None:
    path = tmp_path / "dialogues.csv"
    path.write_text(mark + "".join(map(WRITERS[name], range(count))))
    assert detect(path) == name


@pytest.mark.parametrize("name", WRITERS)
def test_a_format_is_told_behind_a_broken_first_record(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    path.write_text(WRITERS[name](0)[:60] + "\n" + "".join(map(WRITERS[name], range(9))))
    assert detect(path) == name


@pytest.mark.parametrize("name", ["native", "openai", "dailydialog", "personachat"])
def test_a_format_of_lines_is_told_behind_a_line_of_anything(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"caf\xe9\n" + WRITERS[name](0).encode())
    assert detect(path) == name


@pytest.mark.parametrize("name", ["native", "photochat", "openai", "sharegpt"])
def test_a_format_is_told_by_a_record_longer_than_the_head(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    path.write_text(WRITERS[name](0).replace(SAID, SAID * 1000))
    assert detect(path) == name


def test_words_of_another_format_inside_a_text_mislead_nobody(tmp_path: Path) -> None:
    text = 'Hi __eou__\n"User 1: Hi","messages": [{"role"'
    path = tmp_path / "x"
    path.write_text(json.dumps({"id": "x", "utterances": [{"speaker": "A", "text": text}]}))
    assert detect(path) == "native"


@pytest.mark.parametrize(
    "content", [b"Hello there.\n", b"\x1f\x8b\x08\x00", b'{"turns": []}', b"a,b\n1,2\n", b"", b"[]"]
)
def test_where_no_format_fits_the_formats_are_listed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(
        FormatError, match="none of the formats native, photochat, openai, sharegpt, dailydialog, personachat"
    ):
        detect(path)


def test_utf16_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="save it as UTF-8"):
        outcome(tmp_path / "x", native(0).encode("utf-16"))


@pytest.mark.parametrize("name", ["auto", "native"])
def test_unusable_input_is_refused_at_once_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read(tmp_path / "nowhere.jsonl", name)
    with pytest.raises(FormatError, match="is a directory"):
        read(tmp_path, name)
    with pytest.raises(
        ConfigError, match=r"Unknown format 'csv'\. Choose from native, .*, a mapping of keys, "
    ):
        read(tmp_path / "nowhere.jsonl", "csv")


@pytest.mark.parametrize("name", ["auto", *FORMATS.shipped])
@pytest.mark.parametrize("content", [b"", b"\n \r\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_file_without_dialogues_is_a_bad_record(tmp_path: Path, name: str, content: bytes) -> None:
    assert faults(outcome(tmp_path / "x", content, name)) == [(1, "the file contains no dialogue")]


def test_an_id_stands_once_in_all_files_that_are_read_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(native(1) + native(2) + native(1))
    seen = Seen()
    assert faults(read(tmp_path / "a", seen=seen)) == [(3, "duplicate id '1'")]
    assert [line for line, _ in faults(read(tmp_path / "b", seen=seen))] == [1, 2, 3]
    assert ids(read(tmp_path / "b")) == ["1", "2"]


def test_seen_knows_every_id_and_stays_small() -> None:
    names = [f"a rather long name of a dialogue, as file names make them: {i}" for i in range(30_000)]
    tracemalloc.start()
    seen = Seen()
    assert all(map(seen.add, names))
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not any(map(seen.add, names))
    assert len(seen) == len(names)
    assert now < 30 * len(names)


def test_a_file_name_of_any_bytes_makes_ids_that_can_be_written(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.jsonl"))
    try:
        path.write_text(openai(0) + "{\n")
    except OSError:
        pytest.skip("this file system takes no such name")
    one, bad = read(path)
    assert isinstance(one, Dialogue)
    one.model_dump_json()
    assert str(bad).isprintable()


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.binary(max_size=200)
    | st.text(alphabet=st.sampled_from('{}[]",:\\\n\r\t aU1:0'), max_size=60).map(str.encode),
    st.sampled_from(["auto", *FORMATS.shipped]),
)
def test_no_bytes_raise_anything_but_format_error(content: bytes, name: str) -> None:
    harmless(content, name)


@settings(deadline=None)  # a busy machine is no failure
@given(st.sampled_from([*WRITERS]), st.data())
def test_no_damage_to_a_good_file_raises_anything(name: str, data: st.DataObject) -> None:
    content = bytearray("".join(map(WRITERS[name], range(3))).replace(SAID, "Hi").encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    harmless(bytes(content), name)
    harmless(bytes(content), "auto")


def harmless(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        try:
            records = list(read(path, name))
        except FormatError:
            return
    assert records
    last = content.count(b"\n") + 1
    for record in records:
        if isinstance(record, BadRecord):
            assert str(record).isprintable()
            assert 1 <= record.line <= last
        else:
            record.model_dump_json()


@contextlib.contextmanager
def pipe(path: Path, content: Iterator[str]) -> Iterator[Path]:
    """A named pipe that a thread fills as it is read: nothing of it lies on the disk."""

    def fill() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("w") as out:
            out.writelines(content)

    os.mkfifo(path)
    writer = threading.Thread(target=fill)
    writer.start()
    yield path
    writer.join()


@pytest.mark.parametrize(("name", "megabytes"), [(name, 20 if name == "native" else 3) for name in WRITERS])
def test_a_large_file_is_never_held_whole(tmp_path: Path, name: str, megabytes: int) -> None:
    write, one = WRITERS[name], len(WRITERS[name](1))
    count = (megabytes << 20) // one
    with pipe(tmp_path / "pipe", (write(i) for i in range(count))) as path:
        tracemalloc.start()
        good = sum(isinstance(record, Dialogue) for record in read(path))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert good == count
    assert peak < 3 << 20


def test_the_first_dialogue_is_there_before_the_file_ends(tmp_path: Path) -> None:
    def endless() -> Iterator[str]:
        number = 0
        while True:
            yield native(number)
            number += 1

    with pipe(tmp_path / "pipe", endless()) as path:
        records = read(path)
        assert isinstance(next(records), Dialogue)
        records.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("synthetic_persona_chat_valid.csv", "personachat"),
        ("dailydialog_en_dev.txt", "dailydialog"),
        ("photochat_sample.json", "photochat"),
    ],
)
def test_real_files_are_told_apart(file: str, name: str) -> None:
    assert detect(real(file)) == name
