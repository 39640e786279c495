"""Whether an endpoint is there and takes the key, and what it says of the models it serves."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import httpx

from magid_agents.config import Remote
from magid_agents.models.capabilities import ChatError

TIMEOUT_S = 10
NOT_READY = (502, 503, 504)
KEY_REFUSED = (401, 403)
# What llama.cpp reads from the model's file. `created` is left out: vLLM, SGLang and llama.cpp set it to the
# time of the request, and the others mean by it when the model was added, not what it is.
FILE_FACTS = ("vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size")


@dataclass(frozen=True)
class Listing:
    """What one address says of its models; empty if it keeps no list."""

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def identity(self, model: str) -> str:
        """Return the model's name, with a digest of whatever else is known that tells it from a model of the
        same name.

        Stable across restarts, machines and time: only what describes the model itself goes in.
        """
        facts = self._facts(model)
        if not facts:
            return model
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{model}@{digest[:12]}"

    def _facts(self, model: str) -> dict[str, Any]:
        names = [model, f"{model}:latest"]  # Ollama's default tag
        if len(self.models) == 1:  # llama.cpp answers to every name with its one model
            names += self.models
        served = next((name for name in names if name in self.models), "")
        entry = self.models.get(served, {})
        told = {"id": served, "root": entry.get("root"), "parent": entry.get("parent")}
        meta = entry["meta"] if isinstance(entry.get("meta"), dict) else {}
        return {
            **{key: _without_folder(str(name)) for key, name in told.items() if name and name != model},
            **{key: meta[key] for key in FILE_FACTS if key in meta},
            **{key: entry[key] for key in ("digest",) if key in entry},
        }


def reach(settings: Remote, section: str, path: str = "chat/completions") -> Listing:
    """Ask an address for its models.

    Args:
        section: the settings' place, such as critic.chat: errors name it.
        path: what will be called there.

    Raises ChatError if there is no answer, the server is not ready, or the key is missing or refused.
    """
    key, variable = settings.key(), settings.key_variable
    where = f"{section}.base_url={settings.address}"
    if variable and key is None:
        raise ChatError(f"{where} needs an API key; set the environment variable {variable}")
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        with httpx.Client(headers=headers, timeout=TIMEOUT_S) as client:
            answer = client.get(f"{settings.address}/models")
            status = answer.status_code
            if status in KEY_REFUSED:
                # Anthropic lists its models to requests of its own kind only. This one has no content: it is
                # refused for that unless the key comes first, and costs nothing.
                status = client.post(f"{settings.address}/{path}", json={}).status_code
            models = _parse(answer)
            if key is None:
                models = _with_ollama_digests(client, settings.address, models)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ChatError(
            f"{where} does not answer ({type(error).__name__}); start the server or name another address"
        ) from error
    if status in KEY_REFUSED:
        fix = f"check the environment variable {variable}" if variable else f"set {section}.api_key_env"
        raise ChatError(f"{where} refuses the API key ({status}); {fix}")
    if status in NOT_READY:
        raise ChatError(f"{where} is not ready ({status}); run the same command again when it is up")
    return Listing(models)


def _parse(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    try:
        return {str(entry["id"]): dict(entry) for entry in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):  # many proxies have no list
        return {}


def _with_ollama_digests(
    client: httpx.Client, address: str, models: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Add what only Ollama's own API says: the digest of each model, which a new pull may change."""
    if not models or not address.endswith("/v1") or any({"root", "meta"} & m.keys() for m in models.values()):
        return models
    answer = client.get(f"{address.removesuffix('/v1')}/api/tags")
    try:
        digests = {m["model"]: m["digest"] for m in answer.json()["models"]}
    except (ValueError, KeyError, TypeError):  # not Ollama
        return models
    return {name: m | ({"digest": digests[name]} if name in digests else {}) for name, m in models.items()}


def _without_folder(name: str) -> str:
    """Drop the folder of a file, which differs between machines; a hub id stays."""
    if PurePosixPath(name).is_absolute():
        return PurePosixPath(name).name
    return PureWindowsPath(name).name if PureWindowsPath(name).is_absolute() else name
