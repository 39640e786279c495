"""Sections of the settings, and those of an endpoint: how to call it, and where its API key is.

The key itself is never a setting: a section names the environment variable that holds it, and only
`Remote.key` reads it.
"""

import os
import re
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from magid_agents.errors import ConfigError

OPENAI = "https://api.openai.com/v1"


class Section(BaseModel):
    """Part of the settings; an unknown key is an error."""

    # Errors do not show the input: a value in the wrong place may be a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Remote(Section):
    """An endpoint, how to call it, and where its API key is, but never the key itself."""

    base_url: str | None = Field(None, description="address of the endpoint; null is OpenAI's own")
    api_key_env: str | None = Field(
        None,
        description="environment variable that holds the API key; null is OPENAI_API_KEY for OpenAI's own "
        "address and no key for any other",
    )
    key_over_http: bool = Field(
        False, description="send the API key to another machine without encryption (http://)"
    )
    timeout: float = Field(120, gt=0, description="seconds after which a call counts as failed")
    retries: int = Field(
        4, ge=0, description="retries of a call after 429, 5xx, a timeout or a malformed answer"
    )
    concurrency: int = Field(4, gt=0, description="calls in flight at once, at most")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        """Reject anything but a plain address. The message omits the value, which may contain a secret."""
        if value is None:
            return None
        if "@" in value:
            raise ValueError(
                "it contains a user name or password, which run.json would keep; put the key into an "
                "environment variable and name that in api_key_env"
            )
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment:
            raise ValueError("it must be an address such as http://127.0.0.1:8000/v1")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _check_api_key_env(cls, value: str | None) -> str | None:
        """Reject what is no variable's name. The message omits the value, which may be the key itself."""
        if value is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("it must be the name of an environment variable, such as OPENAI_API_KEY")
        return value

    @model_validator(mode="after")
    def _check_key_is_encrypted(self) -> Self:
        parts = urlsplit(self.address)
        exposed = parts.scheme == "http" and not _is_loopback(parts.hostname or "")
        if self.api_key_env and exposed and not self.key_over_http:
            raise ValueError(
                f"{self.api_key_env} would be sent to {parts.hostname} without encryption; use https, or set "
                "key_over_http=true"
            )
        return self

    @property
    def address(self) -> str:
        """The endpoint's address without a trailing slash."""
        return (self.base_url or OPENAI).rstrip("/")

    @property
    def is_openai(self) -> bool:
        """Whether the address is OpenAI's own, including regional ones."""
        parts = urlsplit(self.address)
        return parts.scheme == "https" and f".{parts.hostname}".endswith(".api.openai.com")

    @property
    def key_variable(self) -> str | None:
        """The environment variable that should hold the key, or None if the endpoint gets none."""
        return self.api_key_env or ("OPENAI_API_KEY" if self.is_openai else None)

    def key(self) -> SecretStr | None:
        """The key, or None if the endpoint gets none or the variable is not set.

        Raises ConfigError if the key cannot be sent. Pasted keys often bring invisible characters along, and
        the HTTP client would quote the whole key in its error.
        """
        value = os.environ.get(self.key_variable, "").strip() if self.key_variable else ""
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(
                f"{self.key_variable} holds a character that no API key has, perhaps an invisible one that "
                "was pasted with it; set it again"
            )
        return SecretStr(value) if value else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
