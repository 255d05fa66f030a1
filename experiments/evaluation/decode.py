"""Decoding: prompts in batches padded on the left, greedy or beam search."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from experiments.data.feature_cache import FeatureCache
from experiments.data.tokenizer import encode
from experiments.evaluation.config import EvalConfig
from flamingo_core.flamingo import Flamingo

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def answer(
    model: Flamingo,
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    media: Sequence[Sequence[str]],
    features: FeatureCache,
    config: EvalConfig,
    *,
    after_batch: Callable[[int], None],
) -> list[str]:
    """The text that the model generates after each prompt, up to the end of the chunk.

    Prompts of similar length are batched together, so that there is little padding. Answers do not depend on batches.
    """
    ids = [encode(tokenizer, text)[0] for text in texts]
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    answers = [""] * len(ids)
    for start in range(0, len(order), config.batch_size):
        places = order[start : start + config.batch_size]
        written = _generate(
            model, tokenizer, [ids[place] for place in places], [media[place] for place in places], features, config
        )
        for place, text in zip(places, written, strict=True):
            answers[place] = text
        after_batch(len(places))
    return answers


def _generate(
    model: Flamingo,
    tokenizer: "PreTrainedTokenizerBase",
    ids: Sequence[list[int]],
    media: Sequence[Sequence[str]],
    features: FeatureCache,
    config: EvalConfig,
) -> list[str]:
    longest = max(map(len, ids))
    input_ids = torch.full((len(ids), longest), tokenizer.pad_token_id)
    for row, tokens in enumerate(ids):
        input_ids[row, longest - len(tokens) :] = torch.tensor(tokens)
    attention_mask = torch.arange(longest) >= longest - torch.tensor([len(tokens) for tokens in ids]).unsqueeze(-1)
    output = model.generate(
        input_ids.to(model.device),
        attention_mask=attention_mask.long().to(model.device),
        media_features=features.of([name for row in media for name in row]),
        media_counts=torch.tensor([len(row) for row in media]).to(model.device),
        max_new_tokens=config.max_new_tokens,
        num_beams=config.beams,
        do_sample=False,
    )
    new = output[:, longest:]
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
