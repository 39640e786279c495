"""A run directory whose records a test writes itself."""

from pathlib import Path

import pytest

from tests import fake_run


@pytest.fixture(scope="module")
def empty_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    fake_run.run(folder, "silence")
    return folder / "out"
