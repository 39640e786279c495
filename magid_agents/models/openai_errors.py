"""Translate the openai client's exceptions: worth a retry, this request's fault, or hopeless.

If an endpoint repeats the key in its message, the key is masked here, before the text goes anywhere.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from magid_agents.errors import MagidError, first_line
from magid_agents.models.endpoint import (
    ContentRefused,
    EndpointUnavailable,
    EndpointUnusable,
    RateLimited,
    RequestRejected,
)

if TYPE_CHECKING:
    import openai

LONGEST = 300  # characters kept of an endpoint's own message
# Unlike other 4xx statuses, these are the fault of a setting and not of the request.
HOPELESS = {401: "turns the key down", 403: "turns the key down", 404: "does not know the model or path"}
# Error codes for content moderation: OpenAI's, Azure's and DashScope's.
REFUSED_CONTENT = {
    "content_policy_violation",
    "moderation_blocked",
    "invalid_prompt",
    "content_filter",
    "contentFilter",
    "data_inspection_failed",
}
PASSING = {408, 409, 425}  # 4xx that may pass
# What client and parser raise on a malformed response: not JSON, or JSON of another shape.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError)


@contextmanager
def translated(section: str, key: SecretStr | None = None) -> Iterator[None]:
    """Translate what the client raises in the block.

    Args:
        section: place in the settings, such as chat; error messages name it.
        key: masked in all messages.

    Raises RateLimited, EndpointUnavailable, RequestRejected, ContentRefused or EndpointUnusable.
    """
    import openai

    def say(what: object) -> str:
        text = " ".join(str(what).split())
        if key is not None:
            text = text.replace(key.get_secret_value(), "***")
        return f"{section}: {text[:LONGEST]}"

    try:
        yield
    except MagidError:
        raise
    except openai.RateLimitError as error:
        if error.code == "insufficient_quota":
            raise EndpointUnusable(say(f"the account has no quota left: {error.message}")) from None
        raise RateLimited(say(error.message), retry_after(error.response.headers)) from None
    except (openai.APIConnectionError, TimeoutError) as error:
        if _timed_out(error):
            raise EndpointUnavailable(say(f"no answer in time; see {section}.timeout")) from None
        raise EndpointUnavailable(say(f"connection failed: {first_line(error.__cause__ or error)}")) from None
    except openai.APIStatusError as error:
        status, message = error.status_code, _message(error)
        if refuses_content(error):
            raise ContentRefused(say(f"{status}: {message}")) from None
        if status == 402 or error.code == "billing_hard_limit_reached":
            fix = "top it up and run the same command again"
            raise EndpointUnusable(
                say(f"the account has no balance left ({status}); {fix}: {message}")
            ) from None
        if status in HOPELESS:
            fix = f"see {section}.model, {section}.base_url and {section}.api_key_env"
            raise EndpointUnusable(
                say(f"the endpoint {HOPELESS[status]} ({status}); {fix}: {message}")
            ) from None
        if status >= 500 or status in PASSING:
            after = retry_after(error.response.headers)
            raise EndpointUnavailable(say(f"{status}: {message}"), after, status) from None
        raise RequestRejected(say(f"{status}: {message}"), refused_fields(error)) from None
    except (openai.OpenAIError, *MALFORMED) as error:
        what = f"{type(error).__name__}: {first_line(error)}"
        raise EndpointUnavailable(say(f"the answer is not what the API defines: {what}")) from None


def _timed_out(error: BaseException | None) -> bool:
    """Return whether the endpoint was too slow; the client's own APITimeoutError can also mean refused."""
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return error is not None


def refuses_content(error: "openai.APIStatusError") -> bool:
    """Return whether a prompt was moderated; a refused key or setting can have the same status."""
    body = error.body if isinstance(error.body, dict) else {}
    metadata = body.get("metadata")  # OpenRouter's moderation answers 403 with this
    flagged = isinstance(metadata, dict) and "flagged_input" in metadata
    return flagged or not REFUSED_CONTENT.isdisjoint({error.code, error.type})


def refused_fields(error: "openai.APIStatusError") -> set[str]:
    """Return the fields of the request that the endpoint objects to, as OpenAI and FastAPI list them."""
    return {place[-1] for place, _ in _validation_errors(error) if place} | {error.param or ""} - {""}


def _message(error: "openai.APIStatusError") -> str:
    """Return the endpoint's own message; the client itself only passes on OpenAI's."""
    body = error.body if isinstance(error.body, dict) else {}
    listed = "; ".join(f"{'.'.join(place)}: {problem}" for place, problem in _validation_errors(error))
    said = (
        body.get("message"),
        listed,
        body.get("detail"),
        error.body if isinstance(error.body, str) else "",
    )
    return next((text for text in said if isinstance(text, str) and text), error.message)


def _validation_errors(error: "openai.APIStatusError") -> list[tuple[tuple[str, ...], str]]:
    """Return location and message of each validation error, as FastAPI lists them."""
    detail = error.body.get("detail") if isinstance(error.body, dict) else None
    return [
        (tuple(map(str, problem["loc"][1:])), str(problem.get("msg", "")))  # the first element is "body"
        for problem in (detail if isinstance(detail, list) else [])
        if isinstance(problem, dict) and isinstance(problem.get("loc"), list)
    ]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, or None.

    Read from Retry-After, a number or a date (RFC 9110, 10.2.3), or from OpenAI's and Azure's retry-after-ms.
    """
    with suppress(ValueError):
        return max(0.0, float(headers.get("retry-after-ms", "")) / 1000)
    if text := headers.get("retry-after"):
        try:
            return max(0.0, float(text))
        except ValueError:
            try:
                return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
            except ValueError:
                return None
    return None
