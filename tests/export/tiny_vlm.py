"""A random vision-language model of transformers that is trained in seconds, made without a hub."""

from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIDE, PATCH = 16, 8
SPECIAL = PAD, UNKNOWN, BEGIN, END, IMAGE = "<pad>", "<unk>", "<s>", "</s>", "<image>"
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %} {% endfor %}</s>"
    "{% endfor %}"
)


def make_processor(texts: Iterable[str]) -> LlavaProcessor:
    """Return a processor whose words are those of the texts."""
    words = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=[*SPECIAL]))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=PAD, unk_token=UNKNOWN, bos_token=BEGIN, eos_token=END
    )
    size = {"height": SIDE, "width": SIDE}
    return LlavaProcessor(
        CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
        image_token=IMAGE,
    )


def make_model(processor: LlavaProcessor) -> LlavaForConditionalGeneration:
    """Return a model with random weights, the same at every call."""
    torch.manual_seed(0)
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    tokenizer = processor.tokenizer
    return LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(**small, image_size=SIDE, patch_size=PATCH),
            text_config=LlamaConfig(**small, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id),
            image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        )
    )
