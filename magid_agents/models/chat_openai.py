"""Use ChatOpenAI of langchain-openai over our own client, which alone has the address, key and account.

Slow to import: only import it when about to call a model.
"""

from typing import Any, Self

from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, BaseModel


class PlainChatOpenAI(ChatOpenAI):
    """Send requests unchanged, and keep the reasoning that servers return beside the answer."""

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

    def _create_chat_result(
        self, response: dict[str, Any] | BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        said = getattr(response, "choices", None)
        for generation, choice in zip(result.generations, said or [], strict=False):
            # vLLM, SGLang and DeepSeek call it reasoning_content, Ollama and OpenRouter reasoning.
            thinking = (getattr(choice.message, name, None) for name in ("reasoning_content", "reasoning"))
            if words := next(filter(None, thinking), None):
                generation.message.additional_kwargs["reasoning"] = words
        return result
