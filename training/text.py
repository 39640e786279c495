"""MiniLM's sentence features for training: token states for the painter, pooled means for the matcher.

The frozen text encoder is the same file that the shipped models use.
"""

from collections.abc import Sequence

import torch
from transformers import AutoModel, AutoTokenizer

from magid_agents.models import weights
from training import work

TOKEN_LIMIT = 32  # the painter's prompt length, including special tokens
WIDTH = 384


class TextEncoder:
    def __init__(self, device: torch.device) -> None:
        folder = weights.ensure("minilm")
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, add_pooling_layer=False).to(device).eval()

    @torch.no_grad()
    def states(self, texts: Sequence[str]) -> torch.Tensor:
        """Token states padded to the limit, as a diffusers pipeline computes them: (n, 32, 384)."""
        batch = self.tokenizer(
            list(texts),
            padding="max_length",
            max_length=TOKEN_LIMIT,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        with work.half(self.device):
            return self.model(batch.input_ids, batch.attention_mask).last_hidden_state

    @torch.no_grad()
    def pooled(self, texts: Sequence[str], batch_size: int = 256) -> torch.Tensor:
        """Mean of the real tokens' states: (n, 384) fp32, not normalised."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = torch.empty(len(texts), WIDTH)
        for at in range(0, len(texts), batch_size):
            rows = order[at : at + batch_size]
            batch = self.tokenizer(
                [texts[i] for i in rows], padding=True, truncation=True, return_tensors="pt"
            ).to(self.device)
            with work.half(self.device):
                hidden = self.model(**batch).last_hidden_state.float()
            mask = batch.attention_mask.unsqueeze(-1)
            out[rows] = ((hidden * mask).sum(1) / mask.sum(1)).cpu()
        return out
