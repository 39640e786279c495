"""Ask chat models behind OpenAI-compatible endpoints, each in the way that its endpoint supports.

Answers are validated in agents/services.py, and failed calls are retried in endpoint.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from magid_agents.config import Chat
from magid_agents.models import probe, yes_no
from magid_agents.models.capabilities import Capabilities, ChatError
from magid_agents.models.completions import Completions
from magid_agents.models.endpoint import Endpoint, EndpointDown, EndpointUnavailable
from magid_agents.models.protocols import Probed, Reply, TokenProbabilities
from magid_agents.models.structured import JSON_MODES, JsonMode, find_json
from magid_agents.prompts import Message


class OpenAIChat:
    """A chat model behind any OpenAI-compatible endpoint; implements models.protocols.Probing."""

    def __init__(
        self,
        settings: Chat,
        *,
        section: str = "chat",
        endpoint: Endpoint | None = None,
        address: str | None = None,
        identity: str | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        """Open no connection yet.

        Args:
            section: place in the settings, such as critic.chat; error messages name it.
            endpoint: limits concurrency and retries calls; a new one if not given.
            address: replaces the address in the settings.
            identity: the model's name in the journal; its name in the settings if not given.
            capabilities: what is already known about it; it is not probed then.
        """
        self.identity = identity or settings.model
        self.parameters = parameters(settings)
        self.vision = settings.vision
        self._capabilities = capabilities
        self._settings, self._section = settings, section
        endpoint = endpoint or Endpoint(settings.concurrency, settings.retries)
        self._completions = Completions(settings, section, endpoint, address)

    @property
    def capabilities(self) -> Capabilities:
        """How the model must be asked. Raises RuntimeError if no probe has been adopted."""
        if self._capabilities is None:
            raise RuntimeError("adopt() the result of probe() first")
        return self._capabilities

    @property
    def adopted(self) -> Mapping[str, Any] | None:
        """How the model must be asked, as JSON; None while that is not known."""
        return asdict(self._capabilities) if self._capabilities else None

    @property
    def probe_request(self) -> Mapping[str, Any]:
        """Everything that decides what a probe finds."""
        return {
            "questions": probe.VERSION,
            "address": self._settings.address,
            "vision": self.vision,
            **self.parameters,
        }

    async def probe(self) -> Probed:
        """Find out how the model must be asked.

        Raises ChatError that names the setting the model cannot meet, EndpointDown if there is no answer.
        """
        try:
            capabilities, usage = await probe.find_out(self._completions)
        except EndpointUnavailable as error:
            raise EndpointDown(
                f"{error}; see {self._section}.base_url, and run the same command again when it is up"
            ) from error
        return Probed(asdict(capabilities), usage)

    def adopt(self, found: Mapping[str, Any]) -> None:
        """Ask as a probe found, in this run or an earlier one."""
        self._capabilities = Capabilities(**found)

    def require_json(self) -> JsonMode:
        """Return how to ask for JSON. Raises ChatError if the model cannot follow a JSON schema."""
        if self.capabilities.json_mode is None:
            raise ChatError(
                f"{self._section}.model: {self._settings.model} gives no JSON of the shape it is asked for; "
                "name another model"
            )
        return JSON_MODES[self.capabilities.json_mode]

    def require_yes_no(self) -> None:
        """Raise ChatError if the model does not answer yes/no questions."""
        if not self.capabilities.yes_no:
            raise ChatError(
                f"{self._section}.model: {self._settings.model} answers a yes/no question with neither; name "
                "another model"
            )

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        """Return one answer. Images (PNG bytes) go with the last message.

        Raises ChatError if the model gives no such answer, and what Completions.send raises.
        """
        can = self.capabilities
        limit = can.limit(self._settings.max_tokens)
        if schema is None:
            said = await self._completions.send(messages, images, **limit)
            return Reply(said.answer or said.text, said.usage)
        mode = self.require_json()
        said = await self._completions.send(
            mode.messages(messages, schema), images, **limit, **mode.arguments(schema)
        )
        # Unfinished reasoning may hold a draft, which is no answer: the text stays as it is, to be inspected.
        return Reply(find_json(said.answer) if said.answer else said.text, said.usage)

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities:
        """Return how likely the answer is each of the words; 0 for all if it is none of them.

        If the endpoint returns no token probabilities, the model answers in text, and its word gets
        probability 1. Raises ChatError if the model gives no such answer, and what Completions.send raises.
        """
        can = self.capabilities
        self.require_yes_no()
        if can.top_logprobs:
            said = await self._completions.send(
                messages, images, **can.limit(1), logprobs=True, top_logprobs=can.top_logprobs
            )
            probabilities = yes_no.from_tokens(said.first_tokens, words)
        else:
            said = await self._completions.send(messages, images, **can.limit(self._settings.max_tokens))
            probabilities = yes_no.from_text(said.answer, words)
        return TokenProbabilities(probabilities or dict.fromkeys(words, 0.0), said.usage, said.text)

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._completions.aclose()


def parameters(settings: Chat) -> Mapping[str, Any]:
    """Return everything besides model and messages that decides an answer."""
    return {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
