"""Check that an endpoint is up and accepts the key, and read what it says about its models."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

import httpx

from magid_agents.config import Chat, PainterSettings
from magid_agents.models.capabilities import ChatError

TIMEOUT_S = 10
OLLAMA_PORT = 11434
NOT_READY = (408, 429, 502, 503, 504)
KEY_REFUSED = (401, 403)
NO_SUCH_PATH = (404, 405)
# What llama.cpp reads from the model's file. `created` is left out: vLLM, SGLang and llama.cpp set it to the
# time of the request, and for the others it is when the model was added.
FILE_FACTS = ("vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size")


@dataclass(frozen=True)
class Listing:
    """What one address says about its models; empty if it has no list."""

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ollama: bool = False  # whether it is Ollama's list, which has every model that can be asked

    def identity(self, model: str) -> str:
        """Return the model's name, with a digest if more is known that tells it from others of that name.

        Stable across restarts, machines and time: the digest covers only what describes the model itself.
        Raises ChatError if Ollama does not have the model.
        """
        if self.ollama and not self.models.keys() & {model, f"{model}:latest"}:
            raise ChatError(f"Ollama does not have the model {model}; fetch it: ollama pull {model}")
        facts = self._facts(model)
        if not facts:
            return model
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{model}@{digest[:12]}"

    def _facts(self, model: str) -> dict[str, Any]:
        names = [model, f"{model}:latest"]  # Ollama adds its default tag
        if len(self.models) == 1:  # llama.cpp accepts any name for its one model
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


def _client(settings: Chat | PainterSettings) -> httpx.Client:
    key = settings.key()
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    return httpx.Client(headers=headers, timeout=TIMEOUT_S)


def require_path(settings: Chat | PainterSettings, section: str, path: str) -> None:
    """Raise ChatError if an endpoint that answers has no such path. An empty request there is free."""
    try:
        with _client(settings) as client:
            status = client.post(f"{settings.address}/{path}", json={}).status_code
    except httpx.HTTPError:
        return  # it has answered before; the run will tell
    if status in NO_SUCH_PATH or 300 <= status < 400:
        raise ChatError(
            f"{section}.base_url={settings.address} has no {path} ({status}); check the address, which often "
            "ends in /v1"
        )


def reach(settings: Chat | PainterSettings, section: str, path: str = "chat/completions") -> Listing:
    """Contact an endpoint and return its models.

    Args:
        section: place in the settings, such as critic.chat; error messages name it.
        path: the path that will be called there.

    Raises ChatError if there is no answer, the server is not ready, or the key is missing or refused.
    """
    key, variable = settings.key(), settings.key_variable
    where = f"{section}.base_url={settings.address}"
    if variable and key is None:
        raise ChatError(f"{where} needs an API key; set the environment variable {variable}")
    try:
        with _client(settings) as client:
            answer = client.get(f"{settings.address}/models")
            status = answer.status_code
            if status in KEY_REFUSED:
                # Anthropic lists its models only to requests in its own format. An empty request is free: it
                # is refused, for the key if that is wrong, and otherwise for its missing content.
                status = client.post(f"{settings.address}/{path}", json={}).status_code
            listing = Listing(_parse(answer))
            if key is None:
                listing = _ask_ollama(client, settings.address, listing)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        start = "start the server"
        if _is_ollamas(settings.address):
            start = f"start Ollama (ollama serve), fetch the model (ollama pull {settings.model})"
        raise ChatError(
            f"{where} does not answer ({type(error).__name__}); {start} or name another address"
        ) from error
    if status in KEY_REFUSED:
        fix = f"check the environment variable {variable}" if variable else f"set {section}.api_key_env"
        raise ChatError(f"{where} refuses the API key ({status}); {fix}")
    if status in NOT_READY:
        raise ChatError(f"{where} is not ready ({status}); run the same command again when it is up")
    return listing


def _parse(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    try:
        return {str(entry["id"]): dict(entry) for entry in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):  # many proxies offer no list
        return {}


def _ask_ollama(client: httpx.Client, address: str, listing: Listing) -> Listing:
    """Add each model's digest, which a new pull may change and only Ollama's own API tells."""
    of_others = any({"root", "meta"} & entry.keys() for entry in listing.models.values())
    possible = listing.models or _is_ollamas(address)  # a fresh one has no models yet
    if not possible or of_others or not address.endswith("/v1"):
        return listing
    answer = client.get(f"{address.removesuffix('/v1')}/api/tags")
    try:
        digests = {m["model"]: m["digest"] for m in answer.json()["models"]}
    except (ValueError, KeyError, TypeError):  # not Ollama
        return listing
    models = listing.models.items()
    return Listing(
        {name: {**m, **({"digest": digests[name]} if name in digests else {})} for name, m in models},
        ollama=True,
    )


def _is_ollamas(address: str) -> bool:
    return urlsplit(address).port == OLLAMA_PORT


def _without_folder(name: str) -> str:
    """Drop the folder of a file's path, which differs between machines; keep a hub id."""
    if PurePosixPath(name).is_absolute():
        return PurePosixPath(name).name
    return PureWindowsPath(name).name if PureWindowsPath(name).is_absolute() else name
