"""Copies of generated images are signed by C2PA if asked for; the run's own files stay as they are."""

import io
import json
from pathlib import Path
from typing import Any

import c2pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from magid_agents.errors import ConfigError
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.signing import Credentials
from magid_agents.export.summary import Summary
from magid_agents.store.xmp import TRAINED_ALGORITHMIC_MEDIA, XMP_KEYWORD
from tests import fake_run
from tests.agents.test_synthetic_mark import FindingPainter
from tests.export.certificates import make_credentials
from tests.export.test_resume import files, stop_after


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    fake_run.run(folder, "dog", "cake", "silence")
    return folder / "out"


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return make_credentials(tmp_path_factory.mktemp("credentials"))


def signed(run: Path, out: Path, to: str, credentials: Credentials) -> Summary:
    return export(ExportRequest([run], to, out, credentials=credentials))


def action(image: bytes) -> dict[str, Any]:
    """Return what a signed image says of itself. The signature holds; nobody vouches for its authority."""
    report = json.loads(c2pa.Reader("image/png", io.BytesIO(image)).json())
    assert {one["code"] for one in report["validation_status"]} == {"signingCredential.untrusted"}
    (assertion,) = report["manifests"][report["active_manifest"]]["assertions"]
    (done,) = assertion["data"]["actions"]
    found: dict[str, Any] = done
    return found


def test_files_and_rows_hold_signed_copies(run: Path, tmp_path: Path, credentials: Credentials) -> None:
    before = files(run)
    summary = signed(run, tmp_path / "set", "parquet", credentials)
    assert summary.rules["images_signed"] == summary.images == 2
    rows = pq.read_table(tmp_path / "set/data/train-00000.parquet").to_pylist()
    embedded = [image["bytes"] for row in rows for image in row["images"]]
    kept = [path.read_bytes() for path in (tmp_path / "set").glob("images/*/*.png")]
    assert sorted(embedded) == sorted(kept)
    for image in embedded:
        assert action(image)["digitalSourceType"] == TRAINED_ALGORITHMIC_MEDIA
        assert action(image)["softwareAgent"] == {"name": "fake-painter"}
        assert TRAINED_ALGORITHMIC_MEDIA in Image.open(io.BytesIO(image)).info[XMP_KEYWORD]
    originals = {path.name: Image.open(path).tobytes() for path in run.glob("images/*/*.png")}
    for path in (tmp_path / "set").glob("images/*/*.png"):
        assert Image.open(path).tobytes() == originals[path.name]
    assert files(run) == before
    assert {path.name for path in (tmp_path / "set").iterdir()} == {
        *("README.md", "croissant.json", "data", "export.json", "images", "images.parquet")
    }


def test_an_interrupted_export_signs_nothing_twice(
    run: Path, tmp_path: Path, credentials: Credentials
) -> None:
    request = ExportRequest([run], "jsonl", tmp_path / "set", credentials=credentials)
    with pytest.raises(KeyboardInterrupt):
        export(request, stop_after(1))
    (first,) = (tmp_path / "set.partial/images").glob("*/*.png")
    before = first.read_bytes()
    summary = export(request)
    assert (tmp_path / "set" / first.relative_to(tmp_path / "set.partial")).read_bytes() == before
    assert summary.rules["images_signed"] == 2


def test_an_image_that_was_found_is_not_signed(tmp_path: Path, credentials: Credentials) -> None:
    fake_run.run(tmp_path, "dog", painter=FindingPainter())
    summary = signed(tmp_path / "out", tmp_path / "set", "jsonl", credentials)
    assert (summary.images, summary.rules) == (1, {})
    (image,) = (tmp_path / "set").glob("images/*/*.png")
    assert image.read_bytes() == (tmp_path / "out" / image.relative_to(tmp_path / "set")).read_bytes()


def test_credentials_that_cannot_be_used_are_one_line(
    run: Path, tmp_path: Path, credentials: Credentials
) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "other").mkdir()
    other = make_credentials(tmp_path / "other")
    for chain, key, says in (
        (tmp_path / "gone.pem", credentials.key, "gone.pem: cannot be read"),
        (credentials.certificates, tmp_path / "empty.pem", "give PEM files of a certificate"),
        (credentials.key, credentials.key, "give PEM files of a certificate"),
        (credentials.certificates, other.key, "does not match"),
    ):
        with pytest.raises(ConfigError, match=says) as caught:
            signed(run, tmp_path / "set", "jsonl", Credentials(chain, key))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "set").exists()
