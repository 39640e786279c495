"""Write finished dialogues in the formats that trainers read.

One file per format. Other packages add writers through the entry point group `magid_agents.exporters`.
"""

from magid_agents.registry import Registry

EXPORTERS = Registry(
    "magid_agents.exporters",
    {
        "jsonl": f"{__name__}.jsonl:JsonlWriter",
    },
    otherwise="or package.module:Writer",
)
