"""Our own format: the records of a run as they are, with the path of each image within the folder."""

from collections.abc import Mapping
from typing import Any, ClassVar

from magid_agents.export.writer import LineWriter, Sample


class JsonlWriter(LineWriter):
    """Writes each record under its id in the export; everything else in it stays."""

    has_roles: ClassVar = False

    def row(self, sample: Sample) -> Mapping[str, Any]:
        row = sample.record.model_dump(mode="json", by_alias=True)
        for utterance in row["utterances"]:
            for image in utterance["images"]:
                image["path"] = self.folder.add_image(sample.run, image["sha256"])
        return {**row, "id": sample.id}
