"""`magid prompts`: what ships is right, and a mistake of one's own is found."""

from pathlib import Path

from tests.cli.command import magid


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
