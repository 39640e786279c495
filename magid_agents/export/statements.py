"""What the card and croissant.json both say of every export."""

from magid_agents.export.provenance import AGENTS, Provenance

TITLE = "Dialogues with generated images"
RETRIEVED_TITLE = "Dialogues with retrieved images"
USES = (
    "To train and evaluate models that read dialogues with images, decide when a speaker would share one, or "
    "choose and describe it. Not to learn facts about people, places or products from the images."
)
LIMITATIONS = (
    "A language model chose the moments and described the images; no person checked each. Scorers accepted "
    "the images, and their mistakes remain. One subject may look different in two images of a dialogue. "
    "Moments without an acceptable image were dropped, so what the painter cannot paint is rarer than it "
    "is among people."
)
BIASES = (
    "The images have the biases of the painter and of the scorers that chose among its images; the moments "
    "and descriptions have those of the language model. Languages, topics and speakers are those of the "
    "dialogues."
)
PERSONAL = (
    "The texts are those of the dialogues and may name people; nothing was removed or added. No image is a "
    "photograph taken for this dataset; a generated one may resemble a person by chance."
)
IMPACT = (
    "Synthetic images can be mistaken for photographs. Each PNG file is marked as synthetic in its XMP "
    "metadata if a model generated it; keep the mark when the files are converted."
)
DID = dict(
    zip(
        AGENTS,
        (
            "Chose the utterances after which an image would be shared, and described the image.",
            "Wrote the prompt for each image, and wrote it again after a rejected attempt.",
            "Generated the images, or found them if it is a retrieval painter.",
            "Scored the images, asked questions about them, and accepted one or none.",
        ),
        strict=True,
    )
)


def title(provenance: Provenance) -> str:
    """Return what the dataset is called."""
    return RETRIEVED_TITLE if provenance.is_retrieved else TITLE
