"""Chat models behind OpenAI-compatible endpoints: what agents ask them, asked as each endpoint needs it.

Judges no answer: validation is services.py's, the repetition of calls endpoint.py's.
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
    """A chat model of any OpenAI-compatible endpoint, a models.protocols.Probing."""

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
            section: the settings' place, such as critic.chat: errors name it.
            endpoint: bounds, delays and repeats the calls; one of its own if not given.
            address: where it is not the one in the settings.
            identity: what the journal calls the model; its name if not given.
            capabilities: what is known of it already; it needs no probe then.
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
        """How the model must be asked, once that is known."""
        return asdict(self._capabilities) if self._capabilities else None

    @property
    def probe_request(self) -> Mapping[str, Any]:
        """All that decides what a probe finds."""
        return {
            "questions": probe.VERSION,
            "address": self._settings.address,
            "vision": self.vision,
            **self.parameters,
        }

    async def probe(self) -> Probed:
        """Find out how the model must be asked.

        Raises ChatError that names a setting the model cannot meet, EndpointDown if there is no answer.
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
        """Return how to ask for JSON. Raises ChatError if the model gives none of a given schema."""
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
        return Reply(find_json(said.answer or said.text), said.usage)

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities:
        """Return how likely the answer is each of the words; all are 0 if it is none of them.

        An endpoint without token probabilities answers in text, and its word gets all. Raises ChatError if
        the model gives no such answer, and what Completions.send raises.
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
    """What decides an answer besides model and messages."""
    return {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
