"""Check what this machine can run with the given settings, and what is missing.

Fetches and loads no weights. Remote chat models are asked the few questions that a run begins with. API
keys are never shown.
"""

import asyncio
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import psutil

from magid_agents import prompts
from magid_agents.config import Chat, ConfigError, PainterSettings, ScorerSettings, Settings
from magid_agents.errors import MagidError, first_line
from magid_agents.models import embedded_chat, painters, scorers, weights
from magid_agents.models.build import embedded_match
from magid_agents.models.capabilities import Capabilities, ChatError
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.gpu_memory import Gpu, list_gpus, shortage
from magid_agents.models.painters import pipeline
from magid_agents.models.reach import reach, require_path
from magid_agents.prompt_places import WITHOUT_CRITIQUE, mistakes
from magid_agents.remote import Remote
from magid_agents.runs.graph_loader import load
from magid_agents.schemas import Questions

PACKAGES = {
    "torch": "torch",
    "diffusers": "diffusers",
    "open_clip": "open_clip_torch",
    "langgraph": "langgraph",
}


@dataclass(frozen=True)
class Check:
    """The result of one check: whether it passed, and what was found or what to do."""

    name: str
    ok: bool
    says: str


def examine(settings: Settings, fetch: str = "magid models fetch") -> Iterator[Check]:
    """Yield the result of every check, the machine first.

    Args:
        fetch: the command that fetches all models of these settings.
    """
    yield _machine()
    yield from _packages()
    yield from _devices(settings, list_gpus())
    yield from _weights(settings)
    yield from _hub_models(settings, fetch)
    yield from _endpoints(settings)
    yield _tried(painters.SETTING, partial(_backend, settings.painter))
    for check, scorer in settings.scorers.items():
        yield _tried(f"scorers.{check}", partial(_threshold, check, scorer))
    yield _tried("critic.critique", partial(_critique, settings))
    yield _tried("graph", lambda: load(settings.graph).identity)
    wrong = list(mistakes(settings))
    yield Check("prompts", not wrong, "; ".join(map(str, wrong)) or "every file right")


def _backend(painter: PainterSettings) -> str:
    painters.BACKENDS.load(painters.SETTING, painter.backend)
    return painter.backend


def _threshold(check: str, scorer: ScorerSettings) -> str:
    return f"{scorer.model}, threshold {scorers.threshold(check, scorer).value:g}"


def _critique(settings: Settings) -> str:
    name = settings.critic.critique
    if name is None or settings.graph in WITHOUT_CRITIQUE:
        return "none; scores alone decide"
    if (settings.critic.chat or settings.chat).vision:
        return f"{name}, by a model that sees"
    if not embedded_match(settings.scorers) or prompts.load(name).schema is Questions:
        raise ConfigError(
            f"{name} cannot be asked: the critic does not see; set critic.chat to a model that does, or "
            "critic.critique=null"
        )
    return f"{name}, by a model that is told what the matcher sees"


def _machine() -> Check:
    memory = psutil.virtual_memory().total / 2**30
    free = shutil.disk_usage(next(p for p in (weights.cache(), *weights.cache().parents) if p.exists())).free
    says = (
        f"{platform.machine()}, {os.cpu_count()} CPUs, {memory:.0f} GiB memory, {free / 2**30:.0f} GiB free"
    )
    return Check("machine", True, says)


def _packages() -> Iterator[Check]:
    for module, package in PACKAGES.items():
        there = importlib.util.find_spec(module) is not None
        yield Check(package, there, "installed" if there else f"missing; pip install {package}")


def _devices(settings: Settings, gpus: Sequence[Gpu]) -> Iterator[Check]:
    """Check the painter's device, and those of scorers that cannot be used."""
    wanted = settings.painter.device
    if problem := _unusable(wanted, gpus) or shortage(settings, gpus):
        yield Check("painter.device", False, f"{wanted}: {problem}")
    else:
        seen = [f"{gpu.name} ({gpu.free_gb:.0f} of {gpu.total_gb:.0f} GB free)" for gpu in gpus]
        yield Check("painter.device", True, f"{wanted}; GPUs: {', '.join(seen) or 'none'}")
    for check, scorer in settings.scorers.items():
        if problem := _unusable(scorer.device, gpus):
            yield Check(f"scorers.{check}.device", False, f"{scorer.device}: {problem}")


def _unusable(wanted: str, gpus: Sequence[Gpu]) -> str:
    """Return why this machine has no device of these names, or ""."""
    import torch

    for name in wanted.split(",") if wanted != "auto" else []:
        try:
            device = torch.device(name.strip())
        except RuntimeError as error:
            return f"{first_line(error)}; set it to auto"
        if device.type == "cuda" and (device.index or 0) >= len(gpus):
            return f"this machine has {len(gpus)} CUDA GPUs; set it to auto"
        if device.type == "mps" and not torch.backends.mps.is_available():
            return "this machine has no MPS; set it to auto"
    return ""


def _weights(settings: Settings) -> Iterator[Check]:
    # A painter or scorer of another package has no shipped weights, whatever its model is called.
    named = {s.model for s in settings.scorers.values() if s.backend in scorers.BACKENDS.shipped}
    named |= {settings.painter.model} if settings.painter.backend in painters.BACKENDS.shipped else set()
    named |= {chat.model for chat in settings.chats.values() if chat.provider == "embedded"}
    known = named & weights.manifest().keys()
    if "quality" in known:
        known.add("matcher")  # whose trunk it reads
    if known & {"painter", "matcher", "held-out-matcher"}:
        known.add("minilm")
    for name in sorted(known):
        state = weights.status(name)
        ok = state in ("shipped", "cached")
        fix = "reinstall magid-agents" if weights.manifest()[name].shipped else f"magid models fetch {name}"
        yield Check(f"weights {name}", ok, state if ok else f"{state}; {fix}")


def _hub_models(settings: Settings, fetch: str) -> Iterator[Check]:
    """Check that models without shipped weights are folders on this machine, or in the hub's cache."""
    known, painter = weights.manifest(), settings.painter
    find: dict[str, tuple[str, Callable[[], object]]] = {}
    if painter.backend == "diffusers" and painter.model not in known:
        find["painter.model"] = painter.model, partial(pipeline.found, painter)
    if painter.backend == "retrieval":
        find["painter.model"] = painter.model, partial(painters.build, painter)
    for check, scorer in settings.scorers.items():
        if scorer.backend in scorers.BACKENDS.shipped and scorer.model not in known:
            find[f"scorers.{check}.model"] = scorer.model, partial(scorers.build, check, scorer)
    for name, (model, found) in find.items():
        try:
            with weights.without_fetching():
                found()
            yield Check(name, True, f"{model} is on this machine")
        except MagidError as error:
            says = f"{model} is not on this machine; {fetch}" if _comes_from_hub(error) else str(error)
            yield Check(name, False, says)


def _comes_from_hub(error: BaseException | None) -> bool:
    """Return whether a library failed, which can only lack files here, and no setting is wrong."""
    while isinstance(error, MagidError):
        error = error.__cause__
    return error is not None


def _endpoints(settings: Settings) -> Iterator[Check]:
    """Check every chat model: the embedded one's package; a remote one's address, key and capabilities."""
    for section, chat in settings.chats.items():
        check = _embedded_chat if chat.provider == "embedded" else _remote_chat
        yield _tried(section, partial(check, section, chat))
    if settings.painter.backend == "images_endpoint":
        yield _tried("painter", partial(_reached, "painter", settings.painter, "images/generations"))


def _embedded_chat(section: str, chat: Chat) -> str:
    embedded_chat.identity(chat, section)  # refuses any other model
    if importlib.util.find_spec("xllamacpp") is None:
        raise ChatError(f"{section}.provider=embedded needs xllamacpp; pip install xllamacpp")
    return f"{chat.model} by llama.cpp"


def _reached(section: str, remote: Chat | PainterSettings, path: str = "chat/completions") -> str:
    reach(remote, section, path)
    require_path(remote, section, path)
    return f"{remote.address} answers; {_key(remote)}"


def _key(remote: Remote) -> str:
    return f"the key in {remote.key_variable} is accepted" if remote.key() else "no key is sent"


def _remote_chat(section: str, chat: Chat) -> str:
    listing = reach(chat, section)

    async def ask() -> Capabilities:
        async with aclosing(OpenAIChat(chat, section=section)) as model:
            model.adopt((await model.probe()).found)
            if section == "safety.policy":
                model.require_yes_no()
            else:
                model.require_json()
            return model.capabilities

    vision = "sees images" if chat.vision else "vision is off"
    identity = listing.identity(chat.model)
    return f"{identity} at {chat.address}; {_key(chat)}; {vision}; {asyncio.run(ask())}"


def _tried(name: str, what: Callable[[], str]) -> Check:
    try:
        return Check(name, True, what())
    except MagidError as error:
        return Check(name, False, str(error))
