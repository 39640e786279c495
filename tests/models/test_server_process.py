"""A server of our own in its process: what it logs neither blocks it nor piles up, and it ends with us."""

import sys
import time

import pytest

from magid_agents.models.server_process import LOG_LINES, ServerNotStarted, ServerProcess

TALKATIVE = """
import sys
for i in range(20_000):
    print(f"line {i}: " + "." * 80, file=sys.stderr)
print("http://127.0.0.1:1", flush=True)
for i in range(20_000, 40_000):
    print(f"line {i}: " + "." * 80, file=sys.stderr)
sys.stdin.read()
print("the last line", file=sys.stderr)
"""


def python(code: str) -> ServerProcess:
    return ServerProcess([sys.executable, "-c", code])


def test_a_server_that_logs_without_end_goes_on_and_keeps_its_last_lines() -> None:
    with python(TALKATIVE) as server:
        assert server.address == "http://127.0.0.1:1"
    assert len(server.log) == LOG_LINES
    assert list(server.log)[-2:] == [f"line 39999: {'.' * 80}\n", "the last line\n"]


def test_a_server_that_does_not_start_is_told_with_its_last_words() -> None:
    code = "import sys; print('loading', file=sys.stderr); sys.exit('no such model\\n\\n')"
    with pytest.raises(ServerNotStarted, match=r"^no such model$"):
        python(code).__enter__()
    with pytest.raises(ServerNotStarted, match="said nothing"):
        python("").__enter__()


def test_a_server_ends_with_the_block_though_it_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magid_agents.models.server_process.STOP_TIMEOUT_S", 0.2)
    begin = time.monotonic()
    with python("import time; print('http://127.0.0.1:1', flush=True); time.sleep(60)"):
        pass
    assert time.monotonic() - begin < 30
