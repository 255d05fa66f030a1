"""Pretraining of the language model on text alone: facts, captions, questions; answers have a higher loss weight.

N documents, T tokens, U size of the vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from experiments.data.document import layout
from experiments.data.tokenizer import build_tokenizer, encode
from experiments.data.world.text import text_document
from experiments.data.world.vocabulary import FACTS, KINDS, fact, fact_question

ANSWER_WEIGHT = 5.0  # loss weight of an answer token; other tokens have 1
# Names of the last projection of attention and of the feed-forward part in Llama and Qwen3.
LAST_PROJECTIONS = ("o_proj", "down_proj")


class Texts:
    """Text documents, one batch per step; no document repeats."""

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self._tokenizer = build_tokenizer()

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids (N, T), attention mask (N, T), and the weight of predicting each token (N, T)."""
        rows = []
        for place in range(self.batch_size):
            text, spans = layout(text_document(step * self.batch_size + place).chunks)
            ids, offsets = encode(self._tokenizer, text)
            answers = [any(start < last and first < end for first, last in spans) for start, end in offsets]
            rows.append((ids, [ANSWER_WEIGHT if learned else 1.0 for learned in answers]))
        shape = len(rows), max(len(ids) for ids, _ in rows)
        input_ids, weights = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
        for place, (ids, some) in enumerate(rows):
            input_ids[place, : len(ids)] = torch.tensor(ids)
            weights[place, : len(ids)] = torch.tensor(some)
        return input_ids, weights > 0, weights


def prepare(model: PreTrainedModel) -> None:
    """Initialise as a model of single words: embeddings of unit size that reach the head unchanged.

    Every residual branch starts at zero, and the final norm compensates for the size of the embeddings, which are tied
    to the head. With the initialisation of a run's language model, the layers' outputs soon drown out the small
    embeddings.
    """
    width = model.config.hidden_size
    norm = model.get_submodule("model.norm")
    with torch.no_grad():
        for weight in model.get_input_embeddings().parameters():
            weight.mul_(width**0.5)
        for weight in norm.parameters():
            weight.fill_(width**-0.5)
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear) and name.rpartition(".")[2] in LAST_PROJECTIONS:
                module.weight.zero_()


def weighted_loss(model: PreTrainedModel, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Weighted mean of the next-token cross-entropy."""
    input_ids, mask, weights = batch
    logits = model(input_ids=input_ids, attention_mask=mask).logits[:, :-1]
    losses = cross_entropy(logits.flatten(0, 1), input_ids[:, 1:].flatten(), reduction="none")
    wanted = weights[:, 1:].flatten()
    return (losses * wanted).sum() / wanted.sum()


@torch.no_grad()
def facts_known(model: PreTrainedModel) -> float:
    """The share of all facts that the model answers correctly when asked in text, in percent."""
    tokenizer = build_tokenizer()
    asked = [(kind, relation) for kind in range(len(KINDS)) for relation in range(len(FACTS))]
    right = 0
    for kind, relation in asked:
        ids, _ = encode(tokenizer, fact_question(relation, f"the {KINDS[kind]}"))
        answer = model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()
        right += int(answer) == tokenizer.convert_tokens_to_ids(fact(kind, relation))
    return 100 * right / len(asked)


@torch.no_grad()
def answers_known(model: PreTrainedModel, *, documents: int = 256) -> float:
    """The share of answer tokens in unseen text that the model predicts, in percent."""
    input_ids, mask, weights = Texts(documents).batch(10**6)
    guesses = model(input_ids=input_ids, attention_mask=mask).logits[:, :-1].argmax(dim=-1)
    answers = weights[:, 1:] == ANSWER_WEIGHT
    return 100 * float((guesses == input_ids[:, 1:])[answers].float().mean())
