"""The HTTP client of all remote endpoints; address, key and account come from the settings alone."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from magid_agents.remote import Remote

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def open_client(settings: Remote, address: str | None = None) -> "AsyncOpenAI":
    """Return a client that does not retry. The caller closes it, on the event loop that used it.

    Args:
        address: replaces the address in the settings.
    """
    import openai  # takes half a second, which a run without calls need not spend

    bound = type(openai.DEFAULT_CONNECTION_LIMITS)  # of the HTTP library that this release of the client uses
    client = openai.AsyncOpenAI(
        base_url=address or settings.address,
        # Self-hosted servers often need no key, but the client insists on some text.
        api_key=(settings.key() or SecretStr("none")).get_secret_value(),
        max_retries=0,  # Endpoint retries
        # httpx looks at every open connection before each call, which costs more than the call itself.
        http_client=openai.DefaultAioHttpClient(
            timeout=settings.timeout,
            limits=bound(
                max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency
            ),
        ),
    )
    # The client has read OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS by now.
    client.organization = client.project = None
    client._custom_headers = {}
    return client
