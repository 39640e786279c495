"""Errors that no repeat mends, as APIs word them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """An error as OpenAI words it."""

    status: int
    message: str
    code: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "code": self.code, **self.more}}


class Detail(Refusal):
    """An error as FastAPI words it: in words, or a list of validation errors."""

    def __init__(self, detail: Any, status: int = 422) -> None:
        super().__init__(status, "", more={"detail": detail})

    def body(self) -> dict[str, Any]:
        return dict(self.more)
