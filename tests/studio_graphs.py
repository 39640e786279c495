"""The graphs as LangGraph's server runs them, on fake models."""

import asyncio

from magid_agents import studio
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.runs.shared_services import SharedServices
from tests.fake_run import fakes, script


class PatientPainter(FakePainter):
    """Never finishes an image of a glacier."""

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        if prompt.startswith("glacier"):
            await asyncio.Event().wait()
        return await super().paint(prompt, seed)


services = SharedServices(fakes(FakeChat(script), PatientPainter()))
magid = studio.serve("magid", services)
no_qa = studio.serve("no_qa", services)
