"""How vendors' servers differ: what each takes, ignores and refuses, as its documents and issue tracker say.

docs/backends.md has the same table in words; tests/models/test_probe.py compares them.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.servers.refusals import Detail, Refusal

Model = dict[str, Any]  # an entry of GET /models


@dataclass(frozen=True)
class Personality:
    """One kind of server, with a model of its kind."""

    name: str
    model: str = "m"
    ignored: frozenset[str] = frozenset()  # arguments without effect
    refused: Mapping[str, Refusal] = field(default_factory=dict)  # arguments, and "image"
    thinks: Literal["aloud", "silently"] | None = None
    list_models: Callable[[], list[Model]] | None = list  # None: to requests of another kind only
    digests: Mapping[str, str] | None = None  # of GET /api/tags, if there is such an address
    settings: Mapping[str, Any] = field(default_factory=dict)  # without which it cannot be used

    def refusal(self, body: Mapping[str, Any]) -> Refusal | None:
        """Why the request is turned down, if it is."""
        parts = [part for m in body["messages"] if isinstance(m["content"], list) for part in m["content"]]
        sent = {*body, *("image" for part in parts if part["type"] == "image_url")}
        return next((refusal for name, refusal in self.refused.items() if name in sent), None)


def unsupported(name: str, status: int = 400) -> Refusal:
    return Refusal(status, f"Unsupported parameter: '{name}' is not supported", "unsupported_parameter")


def forbidden(name: str) -> Refusal:
    problem = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
    return Detail([problem])


def now() -> int:
    return int(time.time())


TAKES_EVERYTHING = Personality("takes everything")
OPENAI = Personality(
    "OpenAI",
    "gpt-4.1-mini",
    list_models=lambda: [
        {"id": "gpt-4.1-mini", "object": "model", "created": 1744316542, "owned_by": "system"},
        {"id": "o4-mini", "object": "model", "created": 1744225351, "owned_by": "system"},
    ],
)
OPENAI_REASONING = Personality(
    "OpenAI, a model that thinks",
    "o4-mini",
    refused={
        "max_tokens": unsupported("max_tokens"),
        "temperature": unsupported("temperature"),
        "logprobs": Refusal(403, "You are not allowed to request logprobs from this model"),
    },
    thinks="silently",
    settings={"temperature": None, "max_tokens": 4096},
    list_models=OPENAI.list_models,
)


def _vllm_card() -> Model:
    permission = {"id": f"modelperm-{uuid.uuid4().hex}", "created": now(), "allow_logprobs": True}
    return {
        "id": "Qwen/Qwen2.5-VL-7B-Instruct",
        "object": "model",
        "created": now(),
        "owned_by": "vllm",
        "root": "Qwen/Qwen2.5-VL-7B-Instruct",
        "parent": None,
        "max_model_len": 32768,
        "permission": [permission],
    }


VLLM = Personality("vLLM", "Qwen/Qwen2.5-VL-7B-Instruct", list_models=lambda: [_vllm_card()])
VLLM_RENAMED = Personality(
    "vLLM, with --served-model-name",
    "chat",
    list_models=lambda: [_vllm_card() | {"id": "chat", "root": "/models/qwen"}],
)
VLLM_THINKING = Personality("vLLM, a model that thinks aloud", thinks="aloud", settings={"max_tokens": 4096})
OLLAMA = Personality(
    "Ollama",
    "qwen2.5vl:7b",
    ignored=frozenset({"max_completion_tokens", "tool_choice"}),
    list_models=lambda: [
        {"id": "qwen2.5vl:7b", "object": "model", "created": 1748000000, "owned_by": "library"},
        {"id": "llama3.1:8b", "object": "model", "created": 1748000001, "owned_by": "library"},
    ],
    digests={"qwen2.5vl:7b": "5ced39dfa4ba", "llama3.1:8b": "46e0c10c039e"},
)
MISTRAL = Personality(
    "Mistral",
    "mistral-small-latest",
    refused={name: forbidden(name) for name in ("max_completion_tokens", "logprobs", "top_logprobs")},
    list_models=lambda: [
        {"id": "mistral-small-latest", "object": "model", "created": now(), "owned_by": "mistralai"}
    ],
)
ANTHROPIC = Personality(
    "Anthropic",
    "claude-sonnet-4-5",
    ignored=frozenset({"response_format", "logprobs", "top_logprobs"}),
    list_models=None,
)
LLAMA_CPP = Personality(
    "llama.cpp",
    "model",
    list_models=lambda: [
        {
            "id": "/home/me/qwen2.5-7b-q4_k_m.gguf",
            "object": "model",
            "created": now(),
            "owned_by": "llamacpp",
            "meta": {"vocab_type": 2, "n_vocab": 152064, "n_ctx_train": 32768, "n_params": 7615616512},
        }
    ],
)
LLAMA_CPP_BLIND = Personality(
    "llama.cpp without --mmproj",
    "model",
    refused={"image": Refusal(500, "image input is not supported - hint: provide the mmproj")},
    list_models=LLAMA_CPP.list_models,
)
VENDORS = (
    OPENAI,
    OPENAI_REASONING,
    VLLM,
    VLLM_RENAMED,
    VLLM_THINKING,
    OLLAMA,
    MISTRAL,
    ANTHROPIC,
    LLAMA_CPP,
)
