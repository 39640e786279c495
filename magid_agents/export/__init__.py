"""Write finished dialogues in the formats that trainers read.

One file per format. Other packages add writers through the entry point group `magid_agents.exporters`.
"""

from magid_agents.registry import Registry

EXPORTERS = Registry(
    "magid_agents.exporters",
    {
        "jsonl": f"{__name__}.jsonl:JsonlWriter",
        "sharegpt": f"{__name__}.sharegpt:ShareGptWriter",
        "llava": f"{__name__}.llava:LlavaWriter",
        "openai": f"{__name__}.openai:OpenAIWriter",
        "parquet": f"{__name__}.parquet:ParquetWriter",
        "webdataset": f"{__name__}.webdataset:WebDatasetWriter",
        "interleaved": f"{__name__}.interleaved:InterleavedWriter",
    },
    otherwise="or package.module:Writer",
)
