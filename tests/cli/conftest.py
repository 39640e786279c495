"""Fake models for commands that run in the tests' own process."""

import pytest

from magid_agents.models import build
from magid_agents.models.fakes import FakeChat, FakePainter
from tests.fake_run import fakes, script


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command in this process, on fake models."""
    monkeypatch.setattr(build, "open_models", fakes(FakeChat(script), FakePainter()))
    monkeypatch.setenv("COLUMNS", "100")
