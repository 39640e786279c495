"""DailyDialog: turns, labels, and lines that break off."""

from pathlib import Path

import pytest

from magid_agents.dialogue import Dialogue
from magid_agents.formats import read
from tests.formats.helpers import faults, openings, outcome, real, turns


def test_speakers_alternate_and_labels_are_left_out(tmp_path: Path) -> None:
    content = "Hi . __eou__ Hello ! __eou__ Bye . __eou__\t1\t2 1 1\t0 0 4\n\nOne . __eou__ Two . __eou__\r\n"
    one, two = outcome(tmp_path / "dev.txt", content)
    assert turns(one) == [("A", "Hi ."), ("B", "Hello !"), ("A", "Bye .")]
    assert turns(two) == [("A", "One ."), ("B", "Two .")]
    assert isinstance(one, Dialogue)
    assert one.source == "dev.txt"


def test_an_utterance_keeps_its_tab_and_its_line_separator(tmp_path: Path) -> None:
    (one,) = outcome(tmp_path / "x.txt", "a\tb __eou__ c\u2028d __eou__\t1\t1 1\t0 0")
    assert turns(one) == [("A", "a\tb"), ("B", "c\u2028d")]


def test_an_empty_utterance_is_left_out_and_changes_no_speaker(tmp_path: Path) -> None:
    (one,) = outcome(tmp_path / "x.txt", "a __eou__ __eou__ c __eou__ d __eou__")
    assert turns(one) == [("A", "a"), ("A", "c"), ("B", "d")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no mark at all", "no utterance ends in __eou__"),
        (b"one __eou__ two breaks o", "the last utterance does not end in __eou__"),
        (b" __eou__ \t1\t1\t0", "no utterance has any text"),
        (b"caf\xe9 __eou__", "byte 0xe9 after 'caf' is not UTF-8"),
    ],
)
def test_a_bad_line_costs_itself_only(tmp_path: Path, bad: bytes, reason: str) -> None:
    records = outcome(tmp_path / "x.txt", b"a __eou__\n" + bad + b"\nb __eou__\n")
    assert openings(records) == ["a", "b"]
    assert faults(records) == [(2, reason)]


def test_the_real_file() -> None:
    records = list(read(real("dailydialog_en_dev.txt")))
    assert faults(records) == []
    assert len(records) == 995
    assert sum(len(turns(record)) for record in records) == 8025
    assert all(text.strip() for record in records for _, text in turns(record))
