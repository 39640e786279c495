"""What an export is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from magid_agents.export.signing import Credentials
from magid_agents.export.turns import Policy
from magid_agents.registry import SHIPPED_BY
from magid_agents.store.rundir import RunDir, file_sha256


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and how.

    Args:
        format: the name of a writer, or package.module:Writer.
        policy: the roles policy; the default one if not given. A format without roles takes none.
        split: the share of the dialogues that is for training, between 0 and 1; all if not given.
        licence: what the card states as the export's licence; the binding one if not given.
        source_licence: the licence of the dialogues, for the card.
        credentials: what generated images are signed with; they are not signed if not given.
    """

    directories: Sequence[Path]
    format: str
    out: Path
    policy: Policy | None = None
    split: float | None = None
    licence: str | None = None
    source_licence: str | None = None
    credentials: Credentials | None = None

    def identity(self, runs: Sequence[RunDir], policy: Policy | None) -> Mapping[str, Any]:
        """Return all that decides what the folder holds, but images, which are known by content.

        Args:
            policy: the one that is applied; None in a format without roles.
        """
        return {
            "format": self.format,
            "policy": {"assistant": policy.assistant, "images": policy.images.value} if policy else None,
            "split": self.split,
            "licence": self.licence,
            "source_licence": self.source_licence,
            "signed_by": file_sha256(self.credentials.certificates) if self.credentials else None,
            "version": version(SHIPPED_BY),
            "dialogues": [file_sha256(run.dialogues) for run in runs],
            "evaluations": [file_sha256(run.evaluation) for run in runs],
        }
