"""croissant.json of every format: the checks that NeurIPS makes, and where the data is from."""

import json
from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from tests import fake_run
from tests.export.described import every_format, write

RESPONSIBLE = (
    "rai:dataLimitations",
    "rai:dataBiases",
    "rai:personalSensitiveInformation",
    "rai:dataUseCases",
    "rai:dataSocialImpact",
    "rai:hasSyntheticData",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
)


def described(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "croissant.json").read_text())
    return content


@every_format
def test_it_passes_the_checks_of_a_conference(
    empty_run: Path, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(empty_run, tmp_path / "set", to, split=0.5, licence="CC-BY-4.0")
    monkeypatch.chdir(tmp_path)  # it must not depend on where it is read
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "set/croissant.json")
    issues = dataset.metadata.ctx.issues
    assert (list(issues.errors), list(issues.warnings)) == ([], [])
    for records in dataset.metadata.record_sets:
        assert next(iter(dataset.records(record_set=records.uuid)))
    assert all(described(tmp_path / "set")[name] for name in RESPONSIBLE)


def test_every_agent_is_an_activity_of_its_models_and_prompts(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "dog")
    write(tmp_path / "out", tmp_path / "set", source_licence="MIT")
    content = described(tmp_path / "set")
    manifest = json.loads((tmp_path / "out/run.json").read_text())
    activities = {activity["prov:label"]: activity for activity in content["prov:wasGeneratedBy"]}
    assert list(activities) == ["scanner", "prompt_writer", "painter", "critic"]
    asked = {
        agent: [model["prov:label"] for model in activity["prov:wasAssociatedWith"]]
        for agent, activity in activities.items()
    }
    assert asked["painter"] == [manifest["models"]["painter"]]
    assert asked["scanner"] == asked["prompt_writer"] == [manifest["models"]["chat"]]
    assert {model for models in asked.values() for model in models} == set(manifest["models"].values())
    used = {used["@id"] for activity in activities.values() for used in activity["prov:used"]}
    assert used == {f"urn:sha256:{sha256}" for sha256 in manifest["prompts"].values()}
    (source,) = content["prov:wasDerivedFrom"]
    assert source["@id"] == f"urn:sha256:{manifest['inputs'][0]['sha256']}"
    assert "license" not in content  # the models' are not known
