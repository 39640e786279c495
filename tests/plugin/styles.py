"""What the graph beside this file asks for; imported by it as any module is."""

from pydantic import BaseModel


class Style(BaseModel):
    style: str
