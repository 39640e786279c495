"""Use ChatOpenAI of langchain-openai over our own client, which alone has the address, key and account.

Slow to import: only import it when about to call a model.
"""

from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, BaseModel


class PlainChatOpenAI(ChatOpenAI):
    """Send requests unchanged, and keep the refusal and the reasoning that servers return."""

    @classmethod
    def over(cls, client: AsyncOpenAI, model: str) -> Self:
        """Return a chat model that uses this client, so that none is made from environment variables."""
        completions = client.chat.completions
        return cls(
            model=model,
            api_key=lambda: "",  # the client has it
            base_url=str(client.base_url),
            client=completions,
            async_client=completions,
            root_async_client=client,
            use_responses_api=False,
        )

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002  (for streams)
        **kwargs: Any,
    ) -> ChatResult:
        # The client's chat.completions.create would check every field of the request against its types, and
        # turn the answer into typed objects, which are turned back at once: half of the CPU time of a call.
        body = self._get_request_payload(messages, stop=stop, **kwargs)
        body |= body.pop("extra_body", {})
        answer: Any = await self.root_async_client.post("/chat/completions", body=body, cast_to=object)
        return self._create_chat_result(answer)

    def _create_chat_result(
        self, response: dict[str, Any] | BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        assert isinstance(response, dict)
        for generation, choice in zip(result.generations, response["choices"], strict=True):
            said, kept = choice["message"], generation.message.additional_kwargs
            # vLLM, SGLang and DeepSeek call it reasoning_content, Ollama and OpenRouter reasoning.
            if thinking := said.get("reasoning_content") or said.get("reasoning"):
                kept["reasoning"] = thinking
            if refusal := said.get("refusal"):
                kept["refusal"] = refusal
        return result
