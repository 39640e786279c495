"""What the pages show of a run, asked without a browser."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from magid_agents.errors import StopRun
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.prompts import Message
from magid_agents.reading import trace
from magid_agents.viewer.app import FOLLOW_S
from tests.fake_run import lines, run, script
from tests.store.test_rejected_images import with_threshold
from tests.viewer.pages import get, serving

LONG = "look at my dog, " * 50_000  # 800,000 characters


def page_of(address: str, dialogue: str, run: int = 0) -> str:
    answer = get(address, f"/r/{run}/dialogue?id={dialogue}")
    assert answer.status_code == 200
    return answer.text


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    run(folder, "dog", "cake", "fog", "silence", "nonsense", "knife", open_models=with_threshold(0.5))
    return folder / "out"


@pytest.fixture(scope="module")
def address(out: Path) -> Iterator[str]:
    with serving(out) as address:
        yield address


def test_lists_show_what_is_asked_for(address: str) -> None:
    for query, expected in (
        ("", ["dog", "cake", "fog", "silence", "knife", "nonsense"]),
        ("outcome=rewritten", ["cake"]),
        ("check=unsafe", ["knife"]),
        ("score=image_text_match&below=0.5", ["cake", "fog"]),
        ("score=image_text_match&from=0.5&below=1", ["dog", "cake", "knife"]),
        ("cause=invalid+answer", ["nonsense"]),
        ("min_cost=0.01", []),
        ("text=better", ["cake", "fog", "knife"]),
    ):
        text = get(address, f"/r/0/dialogues?{query}").text
        assert re.findall(r'<li data-dialogue="(\w+)">', text) == expected, query


def test_both_prompts_stand_there_with_what_changed_beside_the_check_that_failed(address: str) -> None:
    text = page_of(address, "cake")
    assert "<ins>, better: 2</ins>" in text
    assert "image-text match 0.200 against 0.500" in text  # named as beside its score


def test_an_image_that_failed_safety_is_blurred_wherever_it_is_shown(address: str) -> None:
    knife = page_of(address, "knife")
    assert knife.count("blurred") == knife.count("data-unveil") == 4  # two attempts of two candidates
    assert "blurred" not in page_of(address, "dog")
    grid = get(address, "/r/0/dialogues?form=grid&check=unsafe").text
    assert grid.count("<img") == grid.count("blurred")


def test_every_call_is_one_click_away_and_whole(address: str) -> None:
    text = page_of(address, "cake")
    calls = [unescape(call) for call in re.findall(r'data-call="([^"]*)"', text)]
    assert len(calls) == text.count('<details class="call"') > 10
    for call in calls:
        assert get(address, call).status_code == 200
    (asked,) = {call for call in calls if call.endswith("step=scan")}
    shown = unescape(get(address, asked).text)
    assert "look at my cake" in shown
    assert '"description": "a cake"' in shown
    assert get(address, asked + "/nobody").status_code == 404
    assert get(address, "/r/0/call?id=nobody&step=scan").status_code == 404


def test_long_texts_are_folded_and_never_repeated(tmp_path: Path) -> None:
    said = [{"speaker": "A" * 100_000, "text": LONG}]
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "long", "utterances": said}) + "\n")

    def long_answers(messages: Sequence[Message], shape: str) -> str:
        return script(messages, shape).replace("a dog", LONG).replace("it there", LONG)

    run(tmp_path, chat=FakeChat(long_answers))
    with serving(tmp_path / "out") as address:
        for path in ("/r/0", "/r/0/dialogues", "/r/0/dialogues?form=grid"):
            assert len(get(address, path).content) < 100_000
        text = page_of(address, "long")
        assert text.count(LONG[2000:]) + text.count(LONG[2000:].strip()) >= 1  # folded, but whole
        shown = re.sub(r"(?s)<details.*?</details>", "", text)
        assert len(shown) < 50_000
        assert LONG[:1000] in shown


def test_half_a_character_in_a_rejected_answer_is_shown(tmp_path: Path) -> None:
    run(tmp_path, "dog", chat=FakeChat(lambda *_: '{"half": "\\ud83d"}'))
    with serving(tmp_path / "out") as address:
        text = page_of(address, "dog")
        (call, *_) = re.findall(r'data-call="([^"]*)"', text)
        assert '"half": "?"' in unescape(get(address, unescape(call)).text)


def test_what_would_flip_is_told_by_name(address: str, out: Path) -> None:
    told = get(address, "/r/0/what-if?image_text_match=0.1").json()
    assert told["counts"] == {"gained": 1, "lost": 0, "replaced": 1, "unknown": 0}
    flips = {flip["dialogue"]: flip for flip in told["flips"]}
    assert flips["fog"]["description"] == "a fog"
    (kept,) = (line for line in lines(out / "dialogues.jsonl") if line["id"] == "cake")
    assert flips["cake"]["before"] == kept["utterances"][0]["images"][0]["sha256"]


def test_an_image_that_would_be_gained_and_failed_safety_is_blurred(tmp_path: Path) -> None:
    sets = ["critic.critique=null"]
    run(tmp_path, "knife", "fog", open_models=with_threshold(0.5), sets=sets)
    with serving(tmp_path / "out") as address:
        flips = get(address, "/r/0/what-if?unsafe=0.9&image_text_match=0.1").json()["flips"]
    assert {flip["dialogue"]: (flip["change"], flip["blurred"]) for flip in flips} == {
        "knife": ("gained", True),
        "fog": ("gained", False),
    }
    assert all(flip["image"] == flip["after"] for flip in flips)


def test_runs_are_told_apart_by_the_end_of_their_paths(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run(tmp_path / name, "dog")
    with serving(tmp_path / "first" / "out", tmp_path / "second" / "out") as address:
        text = get(address, "/r/0").text
        assert re.findall(r'<a href="/r/\d"[^>]*><bdi>([^<]*)</bdi></a>', text) == ["first/out", "second/out"]
    with serving(tmp_path / "first" / "out") as address:
        assert '<strong class="name"><bdi>out</bdi></strong>' in get(address, "/r/0").text


def test_only_a_run_that_goes_on_is_looked_at_again(tmp_path: Path, address: str) -> None:
    assert "data-follow" not in get(address, "/r/0").text
    run(tmp_path, "dog")
    manifest = tmp_path / "out" / "run.json"
    manifest.write_text(manifest.read_text().replace('"status": "finished"', '"status": "running"'))
    with serving(tmp_path / "out") as running:
        for path in ("/r/0", "/r/0/dialogues", "/r/0/dialogue?id=dog"):
            assert f'data-follow="{FOLLOW_S}"' in get(running, path).text


def test_a_directory_that_is_gone_is_an_error_that_says_so(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with serving(tmp_path / "out") as address:
        shutil.rmtree(tmp_path / "out")
        answer = get(address, "/r/0")
        assert (answer.status_code, "holds no run" in answer.text) == (422, True)


def test_a_run_under_way_is_followed(tmp_path: Path) -> None:
    class Broken(FakePainter):
        async def paint(self, prompt: str, seed: int) -> Any:
            if prompt == "cat":
                raise StopRun("the disk is full")
            return await super().paint(prompt, seed)

    with pytest.raises(StopRun):
        run(tmp_path, "dog", "cat", painter=Broken(), sets=["concurrency=1"])
    with serving(tmp_path / "out") as address:
        assert "under way" in get(address, "/r/0").text
        assert 'data-call="/r/0/call?id=cat' in page_of(address, "cat")
        run(tmp_path, "dog", "cat")
        deadline = time.monotonic() + 30  # it looks again after a while, not for every request
        while "under way" in get(address, "/r/0").text and time.monotonic() < deadline:
            time.sleep(0.2)
        assert re.findall(
            r'<li data-dialogue="(\w+)">', get(address, "/r/0/dialogues?status=finished").text
        ) == [
            "dog",
            "cat",
        ]


def test_a_directory_that_was_moved_is_shown(tmp_path: Path, out: Path) -> None:
    shutil.copytree(out, tmp_path / "elsewhere")
    with serving(tmp_path / "elsewhere") as address:
        text = page_of(address, "dog")
        (image,) = set(re.findall(r'class="pic big" src="([^"]*)"', text))
        assert get(address, image).status_code == 200


def test_calls_of_prompts_that_could_not_be_used_and_of_failures_are_shown(tmp_path: Path) -> None:
    def stubborn(messages: Sequence[Message], shape: str) -> str:
        text = messages[-1].text
        if shape == "GenerationPrompt":
            return json.dumps({"prompt": "fog"}) if "fog" in text else "nonsense"
        return script(messages, shape)

    run(tmp_path, "fog", "cake", chat=FakeChat(stubborn))
    with serving(tmp_path / "out") as address:
        for dialogue in ("fog", "cake"):
            (one,) = trace.read(tmp_path / "out", dialogue)
            assert any("write/again" in call.step for call in one.calls)
            text = page_of(address, dialogue)
            assert text.count('<details class="call"') == len(one.calls)


def test_a_line_that_has_moved_since_it_was_indexed_is_found(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat")
    with serving(tmp_path / "out") as address:
        assert "look at my cat" in page_of(address, "cat")
        path = tmp_path / "out" / "dialogues.jsonl"
        path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
        for thing in ("dog", "cat"):
            assert f"look at my {thing}" in page_of(address, thing)
        path.unlink()
        page_of(address, "dog")


def test_a_graph_that_decides_in_its_own_way_foretells_nothing(tmp_path: Path) -> None:
    run(tmp_path, "dog", "fog", "silence", sets=["graph=no_qa"])
    with serving(tmp_path / "out") as address:
        told = get(address, "/r/0/what-if?unsafe=0.05").json()
    assert (sum(told["counts"].values()), told["decided_otherwise"]) == (0, 2)
