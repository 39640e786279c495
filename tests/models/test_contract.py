"""Painters and scorers of others: one that lacks a part is refused with a sentence, before a run uses it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from magid_agents.config import ConfigError, PainterSettings, ScorerSettings, load
from magid_agents.models import build, painters, scorers
from magid_agents.models.fakes import FakePainter
from magid_agents.models.painters.errors import PainterError
from magid_agents.models.protocols import PaintedImage


class Painter(FakePainter):
    def __init__(self, settings: PainterSettings) -> None:
        super().__init__()
        if problem := settings.arguments.get("raises"):
            raise problem


class Unready(Painter):
    """Has a part that cannot be read before a probe."""

    @property
    def reproducible(self) -> bool:
        raise RuntimeError("not probed yet")

    @reproducible.setter
    def reproducible(self, _: bool) -> None: ...


class Numbered(Painter):
    def __init__(self, settings: PainterSettings) -> None:
        super().__init__(settings)
        self.identity = 7  # type: ignore[assignment]  # the mistake


class Bare:
    identity, token_limit, sampled = "bare", None, True
    parameters: Mapping[str, Any] = {}

    def __init__(self, settings: PainterSettings) -> None: ...


class Blocking(Painter):
    def paint(self, prompt: str, seed: int) -> PaintedImage:  # type: ignore[override]  # the mistake
        raise NotImplementedError


class Scorer:
    lower_is_better = blocking = False
    thresholds: ClassVar = {"m": 0.5}
    identity, reads_text = "s", False

    def __init__(self, settings: ScorerSettings) -> None: ...

    async def score(self, _image: Path, _text: str) -> float:
        return 1.0


class Undirected:
    def __init__(self, settings: ScorerSettings) -> None: ...


class Wordless(Scorer):
    reads_text = "no"  # type: ignore[assignment]  # the mistake


class LowerIsBetter(Scorer):
    lower_is_better = True


def test_a_painter_is_made_of_its_section() -> None:
    assert painters.build(PainterSettings(backend=f"{__name__}:Painter")).identity == "fake-painter"
    assert isinstance(painters.build(PainterSettings(backend=f"{__name__}:Unready")), Unready)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Bare", "lacks reproducible, count_tokens, paint; see Painter in magid_agents.models.protocols"),
        ("Blocking", "paint must be an `async def`"),
        ("Numbered", "identity must be a str"),
    ],
)
def test_a_painter_that_lacks_a_part_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        painters.build(PainterSettings(backend=f"{__name__}:{name}"))
    assert str(caught.value).startswith(f"painter.backend={__name__}:{name}: {says}")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Undirected", "lacks lower_is_better, blocking, thresholds; see"),
        ("Wordless", "reads_text must be a bool"),
    ],
)
def test_a_scorer_that_lacks_a_part_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scorers.build("taste", ScorerSettings(backend=f"{__name__}:{name}", model="m"))
    assert str(caught.value).startswith(f"scorers.taste.backend={__name__}:{name}: {says}")


def test_what_a_constructor_raises_is_told_as_the_settings_fault_and_our_own_errors_as_they_are() -> None:
    def made(error: Exception) -> None:
        painters.build(PainterSettings(backend=f"{__name__}:Painter", arguments={"raises": error}))

    with pytest.raises(ConfigError, match=r":Painter: cannot be made: KeyError: 'seed'$"):
        made(KeyError("seed"))
    with pytest.raises(PainterError, match=r"^no such model$"):
        made(PainterError("no such model"))


@pytest.mark.parametrize(("name", "passes"), [("Scorer", False), ("LowerIsBetter", True)])
def test_a_scorers_class_says_which_way_its_scores_go_and_what_is_enough(name: str, passes: bool) -> None:
    threshold = scorers.threshold("taste", ScorerSettings(backend=f"{__name__}:{name}", model="m"))
    assert (threshold.value, threshold.margin(0.4) >= 0) == (0.5, passes)
    own = ScorerSettings(backend=f"{__name__}:{name}", model="m", threshold=0.2)
    assert scorers.threshold("taste", own).value == 0.2


def test_a_mistyped_name_is_told_before_any_backend_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "never_imported.py").write_text("raise SystemExit('was imported')")
    sets = ["scorers.aesthetics.backend=never_imported:A", "painter.backend=difusers"]
    with pytest.raises(ConfigError, match=r"Unknown painter\.backend 'difusers'\. Did you mean 'diffusers'"):
        build.open_models(load(overrides=sets)).__enter__()
