"""TRL's own code takes every sample, and its trainer learns from an export."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.turns import BOTH, LAST, AssistantImages, Policy
from magid_agents.models import torchvision_ops
from tests import fake_run
from tests.export.described import write

torchvision_ops.ensure()

from transformers import LlavaProcessor
from trl import SFTConfig, SFTTrainer
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from tests.export.tiny_vlm import make_model, make_processor

KEEP, _, END = AssistantImages


def load(folder: Path) -> Any:
    return datasets.load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))


def processor_of(splits: Any) -> LlavaProcessor:
    rows = [row for split in splits.values() for row in split]
    texts = [part["text"] or "" for row in rows for m in row["messages"] for part in m["content"]]
    return make_processor([*texts, "user: assistant:"])


@pytest.mark.parametrize("policy", [Policy(), Policy(BOTH), Policy(LAST, KEEP), Policy(LAST, END)], ids=str)
def test_every_sample_becomes_a_batch(empty_run: Path, tmp_path: Path, policy: Policy) -> None:
    summary = write(empty_run, tmp_path / "set", "parquet", policy=policy)
    splits = load(tmp_path / "set")
    collate = DataCollatorForVisionLanguageModeling(processor_of(splits))
    assert len(splits["train"]) == summary.samples["train"]
    for row in splits["train"]:
        told = prepare_multimodal_messages(row["messages"], row["images"])
        shown = [part["image"] for m in told for part in m["content"] if part["type"] == "image"]
        assert [image.tobytes() for image in shown] == [image.tobytes() for image in row["images"]]
        batch = collate([row])
        assert len(batch.get("pixel_values", [])) == len(row["images"])
        assert (batch["labels"] != -100).any()


@pytest.mark.slow
def test_a_fine_tune_on_an_export_lowers_the_loss_on_held_out_dialogues(tmp_path: Path) -> None:
    fake_run.run(tmp_path, *(f"dog{number}" for number in range(64)))
    export(ExportRequest([tmp_path / "out"], "parquet", tmp_path / "set", split=0.8))
    splits = load(tmp_path / "set")
    processor = processor_of(splits)
    options = SFTConfig(
        output_dir=str(tmp_path / "trained"),
        num_train_epochs=1,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        max_length=None,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        make_model(processor),
        options,
        train_dataset=splits["train"],
        eval_dataset=splits["test"],
        processing_class=processor,
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before / 2
