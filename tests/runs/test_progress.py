"""Progress where nobody watches a terminal: a line now and then."""

import time
from contextlib import redirect_stderr
from io import StringIO

from magid_agents.runs.progress import show_lines, show_progress
from magid_agents.store.results import Calls, Counts


def wait_for_lines(file: StringIO, count: int) -> list[str]:
    deadline = time.monotonic() + 30
    while file.getvalue().count("\n") < count and time.monotonic() < deadline:
        time.sleep(0.005)
    return file.getvalue().splitlines()


def test_a_log_gets_a_line_now_and_then_also_while_no_dialogue_ends() -> None:
    with redirect_stderr(StringIO()) as log:
        with show_lines(100, interval_s=0.01) as report:
            assert wait_for_lines(log, 1)[0].startswith("magid: 0 of 100 dialogues, 0 images")
            report(Counts(dialogues=7, failed=1, accepted=5, dropped=2), Calls(40, 3))
            told = wait_for_lines(log, log.getvalue().count("\n") + 3)
        after = log.getvalue()
        time.sleep(0.05)
    assert told[-1] == "magid: 7 of 100 dialogues, 5 images, 2 dropped, 1 failed, 40 calls computed, 3 reused"
    assert "\r" not in after
    assert log.getvalue() == after


def test_a_short_run_prints_nothing() -> None:
    with redirect_stderr(StringIO()) as log, show_progress(None) as report:
        report(Counts(dialogues=1), Calls())
    assert log.getvalue() == ""


def test_without_a_known_total_the_line_says_what_is_done() -> None:
    with redirect_stderr(StringIO()) as log, show_lines(None, interval_s=0.01):
        assert wait_for_lines(log, 1)[0].startswith("magid: 0 dialogues, ")
