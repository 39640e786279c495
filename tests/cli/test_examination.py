"""`magid doctor`: every endpoint of the settings is asked; what is wrong is said with its setting."""

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from magid_agents.cli.app import app
from magid_agents.cli.examination import Check, examine
from magid_agents.config import Settings, load
from magid_agents.models.gpu_memory import Gpu
from tests.servers.endpoint import Api, serving
from tests.servers.model import last_words
from tests.servers.personalities import ANTHROPIC, LLAMA_CPP_BLIND, OLLAMA


def check(settings: Settings, name: str) -> Check:
    return next(one for one in examine(settings) if one.name == name)


def endpoint(api: Api, section: str = "chat", **settings: Any) -> list[str]:
    given = {"base_url": api.url, "model": api.personality.model, **settings}
    return [f"{section}.{name}={value}" for name, value in given.items()]


def test_an_endpoint_is_told_with_how_it_must_be_asked() -> None:
    with serving(Api(personality=OLLAMA)) as api:
        found = check(load(overrides=endpoint(api, vision="true")), "chat")
    assert found.ok
    for words in ("qwen2.5vl:7b@", api.url, "no key is sent", "sees images", "token limit: max_tokens"):
        assert words in found.says


def test_a_key_is_told_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving(Api(personality=ANTHROPIC, key="sk-secret")) as api:
        found = check(load(overrides=endpoint(api, api_key_env="MY_KEY")), "chat")
    assert found.ok
    assert "the key in MY_KEY is accepted" in found.says
    assert "JSON: function_calling; yes/no questions: in text" in found.says
    assert "sk-secret" not in found.says


@pytest.mark.parametrize("section", ["critic.chat", "safety.policy"])
def test_a_second_model_is_asked_whether_or_not_its_provider_is_said(section: str) -> None:
    with serving(Api(personality=LLAMA_CPP_BLIND)) as api:
        found = check(load(overrides=endpoint(api, section, vision="true", retries=0)), section)
    assert not found.ok
    assert f"set {section}.vision=false" in found.says


def test_a_guard_model_that_answers_in_a_form_of_its_own_is_told() -> None:
    def guard(body: dict[str, Any]) -> str:
        return "Orange and green." if "colours" in last_words(body) else '{"rating": "Safe"}'

    with serving(Api(guard)) as api:
        found = check(load(overrides=endpoint(api, "safety.policy", vision="true")), "safety.policy")
    assert not found.ok
    assert found.says.startswith("safety.policy.model: m answers a yes/no question with neither")


def test_a_backend_that_cannot_be_used_is_told_with_its_setting() -> None:
    found = check(load(overrides=["painter.backend=difusers"]), "painter.backend")
    assert (found.ok, found.says) == (False, "Unknown painter.backend 'difusers'. Did you mean 'diffusers'?")
    assert check(load(), "painter.backend").ok


def test_a_scorer_that_was_taken_out_is_not_looked_for() -> None:
    names = [one.name for one in examine(load(overrides=["scorers.aesthetics=null"]))]
    assert "scorers.unsafe" in names
    assert not {"scorers.aesthetics", "weights quality"} & set(names)


def test_an_endpoint_that_is_not_there_is_told_with_its_setting() -> None:
    found = check(load(overrides=["chat.base_url=http://127.0.0.1:9/v1"]), "chat")
    assert not found.ok
    assert found.says.startswith("chat.base_url=http://127.0.0.1:9/v1 does not answer")


def test_hub_models_that_are_not_here_are_told_with_the_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    fetch = "magid models fetch --profile laptop"
    checks = examine(load("laptop", overrides=["chat.base_url=http://127.0.0.1:9/v1"]), fetch)
    missing = {one.name: one.says for one in checks if fetch in one.says}
    assert missing.keys() == {
        "painter.model",
        "scorers.image_text_match.model",
        "scorers.aesthetics.model",
    }
    assert missing["painter.model"] == f"stabilityai/sd-turbo is not on this machine; {fetch}"


def test_a_model_that_is_named_wrongly_is_not_taken_for_one_to_fetch(tmp_path: Path) -> None:
    wrong = [f"painter.model={tmp_path}", "scorers.image_text_match.model=ViT-B-32:openai"]
    wrong += ["scorers.image_text_match.threshold=0.2"]
    checks = {one.name: one for one in examine(load(overrides=wrong))}
    painter, scorer = checks["painter.model"], checks["scorers.image_text_match.model"]
    assert not painter.ok
    assert "holds no model_index.json; name a diffusers pipeline's folder" in painter.says
    assert not scorer.ok
    assert "set the model to ViT-B-32-quickgelu:openai" in scorer.says
    assert "fetch" not in painter.says + scorer.says


def test_a_painter_in_a_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    assert check(load(overrides=[f"painter.model={tmp_path}"]), "painter.model").ok


@pytest.mark.parametrize(
    ("words", "fetch"),
    [
        (["--profile", "laptop"], "magid models fetch --profile laptop"),
        (["--set", "seed=1"], "magid models fetch --profile embedded --set seed=1"),
    ],
)
def test_the_command_that_fetches_has_the_options_of_the_settings(
    words: list[str], fetch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    sets = ["--set", "painter.model=nobody/nothing", "--set", "chat.base_url=http://127.0.0.1:9/v1"]
    done = CliRunner().invoke(app, ["doctor", *words, *sets])
    assert f"FAIL  painter.model: nobody/nothing is not on this machine; {fetch}" in done.stdout


def test_a_name_that_is_no_embedded_chat_model_is_told() -> None:
    found = check(load(overrides=["chat.model=qwen2.5-coder-7b"]), "chat")
    assert not found.ok
    assert "is not an embedded chat model; choose from qwen" in found.says


def test_the_weights_that_a_scorer_reads_besides_its_own_are_looked_for() -> None:
    sets = ["painter.backend=images_endpoint", "painter.model=m", "painter.base_url=http://127.0.0.1:9/v1"]
    sets += ["scorers.image_text_match=null", "scorers.aesthetics.backend=quality"]
    names = [one.name for one in examine(load(overrides=sets))]
    assert {"weights quality", "weights matcher", "weights minilm"} <= set(names)


def test_shipped_weights_that_are_broken_are_not_to_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magid_agents.models.weights.status", lambda _: "corrupt")
    assert check(load(), "weights matcher").says == "corrupt; reinstall magid-agents"
    assert check(load(), "weights minilm").says == "corrupt; magid models fetch minilm"


def test_a_folder_that_a_retrieval_painter_lacks_is_told(tmp_path: Path) -> None:
    sets = ["graph=retrieval", "painter.backend=retrieval", "painter.model=matcher"]
    found = check(load(overrides=[*sets, f"painter.folder={tmp_path / 'none'}"]), "painter.model")
    assert not found.ok
    assert "none" in found.says


@pytest.mark.parametrize("key", [None, "sk-secret"])
def test_an_address_without_the_path_of_images_is_told(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving(Api()) as api:
        address = api.url.removesuffix("/v1")
        sets = ["painter.backend=images_endpoint", "painter.model=m", f"painter.base_url={address}"]
        found = check(load(overrides=[*sets, *(["painter.api_key_env=MY_KEY"] if key else [])]), "painter")
    assert not found.ok
    assert "has no images/generations (404); check the address, which often ends in /v1" in found.says


def test_the_machine_is_told_where_there_is_no_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")  # as on Windows
    assert " GiB memory" in check(load(), "machine").says


@pytest.mark.parametrize(
    ("sets", "ok"),
    [
        ([], True),
        (["critic.critique=null"], True),
        (["critic.critique=critic/questions"], False),
        (["critic.critique=critic/questions", "graph=no_qa"], True),
        (["scorers.image_text_match.model=ViT-B-32-quickgelu:openai"], False),
    ],
)
def test_a_critique_that_cannot_be_asked_is_told(sets: list[str], ok: bool) -> None:
    found = check(load(overrides=sets), "critic.critique")
    assert found.ok == ok
    assert ok or "the critic does not see" in found.says


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu,tpuu", "cuda:0", "mps"])
def test_a_device_that_is_none_is_told(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magid_agents.cli.examination.list_gpus", list)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    for place in ("painter", "scorers.aesthetics"):
        found = check(load(overrides=[f"{place}.device={device}"]), f"{place}.device")
        assert not found.ok
        assert found.says.endswith("set it to auto")


def test_a_gpu_beyond_the_last_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magid_agents.cli.examination.list_gpus", lambda: [Gpu("H100", 80, 80)])
    assert check(load(overrides=["painter.device=cuda:0"]), "painter.device").ok
    found = check(load(overrides=["painter.device=cuda:0,cuda:1"]), "painter.device")
    assert "this machine has 1 CUDA GPUs" in found.says
