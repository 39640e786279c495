"""NeMo Data Designer, in a Python of its own that has its package.

Scan, prompt and critique are structured columns with the project's prompts and schemas; the image is an image
column. All that is set is what the engine bears.
"""

import data_designer.config as dd
import pandas as pd
from data_designer.interface import DataDesigner

from benchmarks.endpoints import engine, work
from magid_agents import prompts
from magid_agents.dialogue import SharingMoment, Utterance

PROVIDER = "engine"
IMAGE_MODEL = "sd-scripted"  # it sends a model to the images endpoint if its name begins like this
MOMENT = "{{ scan.moments[0].description }}"


def columns() -> list[dd.LLMStructuredColumnConfig | dd.ImageColumnConfig]:
    """Return the columns, whose prompts are the project's with placeholders for what differs."""
    utterances = [Utterance(speaker=speaker, text="{{ text }}") for speaker in "ABAB"]
    moment = SharingMoment(utterance=1, speaker="B", description="DESCRIPTION", rationale="r")
    values = {"utterances": utterances, "max_images": 2, "moment": moment, "style": "", "token_limit": None}

    def asking(name: str, after: str = "") -> dd.LLMStructuredColumnConfig:
        file = prompts.load(work.PROMPTS[name])
        system, *others = [message.text for message in file.render({**values, "seen": work.SEEN})]
        text = "\n\n".join(others).replace("DESCRIPTION", MOMENT) + after
        return dd.LLMStructuredColumnConfig(
            name=name, model_alias="chat", system_prompt=system, prompt=text, output_format=file.schema
        )

    return [
        asking("scan"),
        asking("write"),
        dd.ImageColumnConfig(name="image", model_alias="painter", prompt="{{ write.prompt }}"),
        asking("critique", after="\n\nThe file: {{ image[0] }}"),  # what makes it wait for the image
    ]


def main() -> None:
    args = work.arguments(__doc__)
    provider = dd.ModelProvider(name=PROVIDER, endpoint=args.url, api_key="none")
    chat = dd.ChatCompletionInferenceParams(max_parallel_requests=args.borne, temperature=0)
    image = dd.ImageInferenceParams(max_parallel_requests=args.borne)
    models = [
        dd.ModelConfig(alias="chat", model=engine.MODEL, provider=PROVIDER, inference_parameters=chat),
        dd.ModelConfig(alias="painter", model=IMAGE_MODEL, provider=PROVIDER, inference_parameters=image),
    ]
    builder = dd.DataDesignerConfigBuilder(model_configs=models)
    texts = [said[0]["text"] for _, said in work.dialogues(args.dialogues)]
    builder.with_seed_dataset(dd.DataFrameSeedSource(df=pd.DataFrame({"text": texts})))
    for column in columns():
        builder.add_column(column)
    designer = DataDesigner(artifact_path=args.folder, model_providers=[provider])
    done = designer.create(builder, num_records=args.dialogues).load_dataset()
    assert len(done) == args.dialogues
    assert done["critique"].notna().all()


if __name__ == "__main__":
    main()
