"""`magid prompts`: what ships is right, and a mistake of one's own is found."""

import json
import shlex
from pathlib import Path

import pytest

from magid_agents.config import load
from magid_agents.prompt_places import use
from tests.cli.command import magid
from tests.fake_run import run, write_input


def test_prompts_that_ship_are_listed_and_right() -> None:
    listed = magid("prompts", "list")
    assert "scanner/few_shot: " in listed.stdout
    assert magid("prompts", "check").returncode == 0


def test_a_mistake_in_ones_own_prompt_is_found(tmp_path: Path) -> None:
    own = tmp_path / "scanner" / "zero_shot.md"
    own.parent.mkdir()
    own.write_text("---\ndescription: mine\noutput: Nothing\n---\n## user\nhello\n")
    done = magid("prompts", "check", "--prompts", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{own}: Unknown output 'Nothing'. Choose from SharingMoments")
    assert str(own) in magid("prompts", "list", "--prompts", str(tmp_path)).stdout


def test_a_prompt_is_checked_for_the_place_that_the_settings_name_it_for(tmp_path: Path) -> None:
    own = tmp_path / "mine.md"
    own.write_text("---\ndescription: mine\noutput: YesOrNo\n---\n## user\nIs there an image?\n")
    check = ["prompts", "check", "--prompts", str(tmp_path)]
    assert magid(*check).returncode == 0
    assert magid(*check, "--set", "scanner.prompt=mine").returncode == 0
    done = magid(*check, "--set", "writer.write=mine")
    assert (done.returncode, done.stderr) == (
        2,
        f"{own}: writer.write cannot use the output YesOrNo; choose from GenerationPrompt, "
        "GenerationPrompts\n",
    )


def test_a_prompt_is_shown_as_the_model_gets_it(tmp_path: Path) -> None:
    dialogues = str(write_input(tmp_path / "in.jsonl", "dog", "\x1b[2Jcat"))
    alone = magid("prompts", "show", "scanner/yes_no")
    assert "{{ utterance }}, from index of the utterance" in alone.stdout
    shown = magid("prompts", "show", "scanner/yes_no", dialogues, "--with", "dog")
    assert shown.stdout.rstrip().endswith("Message: look at my dog\n\n--all shows every use")
    every = magid("prompts", "show", "scanner/yes_no", "--with", dialogues, "--all").stdout
    assert every.rstrip().endswith("Message: oh")
    assert "use 2 of 2" in every
    told = magid("prompts", "show", "scanner/zero_shot", dialogues, "--json").stdout
    (use,) = json.loads(told)
    assert use["values"]["max_images"] == 2
    assert use["messages"][-1][0] == "user"
    hostile = magid("prompts", "show", "scanner/zero_shot", dialogues, "--with", "\x1b[2Jcat")
    assert "\x1b" not in hostile.stdout
    assert "look at my \\x1b[2Jcat" in hostile.stdout


def test_a_prompt_that_no_recorded_answer_leads_to_is_one_line_and_status_2(tmp_path: Path) -> None:
    run(tmp_path, "dog")  # by models that the settings cannot name
    for source, says in ((tmp_path / "in.jsonl", "name a run directory"), (tmp_path / "out", "no recorded")):
        done = magid("prompts", "show", "prompt_writer/write", str(source))
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert says in line


def test_init_prints_the_next_command(tmp_path: Path) -> None:
    folder = tmp_path / "my own"
    done = magid("init", str(folder))
    assert done.returncode == 0
    words = shlex.split(done.stdout.splitlines()[1])
    assert words[:3] == ["magid", "run", "dialogues.jsonl"]
    assert Path(words[words.index("--prompts") + 1]).is_dir()
    assert Path(words[words.index("--graph") + 1].partition(":")[0]).is_file()
    again = magid("init", str(folder))
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_folder_that_holds_no_prompts_is_not_silently_replaced_by_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    magid("init", str(tmp_path / "mine"))
    wrong = {
        tmp_path / "nowhere": "is not a folder of prompts",
        tmp_path / "empty": "holds no prompt",
        tmp_path / "mine": f"did you mean {tmp_path / 'mine' / 'prompts'}?",
    }
    for folder, says in wrong.items():
        for command in (["check"], ["show", "scanner/yes_no"]):
            done = magid("prompts", *command, "--prompts", str(folder))
            assert done.returncode == 2
            (line,) = done.stderr.splitlines()
            assert says in line
    assert magid("prompts", "check", "--prompts", str(tmp_path / "mine" / "prompts")).returncode == 0


@pytest.mark.parametrize("name", ["prompt_writer/rewrite", "prompt_writer/rewrite_choices"])
def test_either_rewriting_prompt_has_its_place_whichever_the_settings_name(name: str) -> None:
    for other in ("rewrite", "rewrite_choices"):
        settings = load(overrides=[f"writer.rewrite=prompt_writer/{other}"])
        assert use(settings, name).writer.rewrite == name


def test_settings_may_be_changed_for_a_look_at_a_run(tmp_path: Path) -> None:
    run(tmp_path, "dog", sets=["scanner.max_images=1"])
    told = [
        json.loads(
            magid("prompts", "show", "scanner/zero_shot", str(tmp_path / "out"), "--json", *more).stdout
        )
        for more in ([], ["--set", "scanner.max_images=5"], ["--set", "seed=3"])
    ]
    assert [one[0]["values"]["max_images"] for one in told] == [1, 5, 1]
    refused = magid("prompts", "show", "scanner/zero_shot", str(tmp_path / "out"), "--preset", "paper")
    assert refused.returncode == 2
