"""What becomes of a prompt that gets no image: it is rewritten, or the dialogue fails, or the run stops."""

from pathlib import Path

import pytest

from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.models.fakes import FakePainter
from magid_agents.models.painters.errors import PainterError, PromptRefused, PromptTooLong
from magid_agents.models.protocols import PaintedImage
from tests import fake_run


class FailingPainter(FakePainter):
    """Raises this error for the first prompt of a thing, and paints the rewritten one."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        image = await super().paint(prompt, seed)
        if "better" not in prompt:
            raise self.error
        return image


@pytest.mark.parametrize("error", [PromptRefused("not that"), PromptTooLong("12 tokens, 8 are read")])
def test_what_is_wrong_with_a_prompt_goes_back_to_the_writer(tmp_path: Path, error: Exception) -> None:
    outcome = fake_run.run(tmp_path, "dog", painter=FailingPainter(error))
    assert (outcome.counts.failed, outcome.counts.rewritten) == (0, 1)


def test_a_refusal_is_remembered_and_a_limit_may_change(tmp_path: Path) -> None:
    """The token limit is a setting and in no key."""
    for error, asked_again in [(PromptRefused("not that"), False), (PromptTooLong("too long"), True)]:
        out, painter = tmp_path / type(error).__name__, FakePainter()
        fake_run.run(tmp_path, "dog", painter=FailingPainter(error), out=out)
        fake_run.run(tmp_path, painter=painter, out=out, update=True, sets=["painter.token_limit=100"])
        assert (painter.calls > 0) == asked_again


def test_an_endpoint_that_fails_fails_the_dialogue(tmp_path: Path) -> None:
    outcome = fake_run.run(
        tmp_path, "dog", "silence", painter=FailingPainter(EndpointUnavailable("painter: 500"))
    )
    assert (outcome.counts.dialogues, outcome.counts.failed) == (2, 1)
    assert fake_run.run(tmp_path).counts.failed == 0


def test_a_painter_that_cannot_be_used_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(PainterError, match=r"painter\.width"):
        fake_run.run(tmp_path, "dog", "cat", painter=FailingPainter(PainterError("see painter.width")))
    assert fake_run.run(tmp_path).counts.accepted == 2
