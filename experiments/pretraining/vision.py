"""Pretraining of encoders on captioned pictures: CLIP's contrastive loss, and the caption's words from the grid.

The contrastive loss alone learns what distinguishes the pictures of a batch: colours first, and kinds late; predicting
the words of the caption teaches all of them. N pictures, S cells, V width, T words of a caption, U size of the
vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from experiments.data.draws import generator
from experiments.data.tokenizer import build_tokenizer, encode
from experiments.data.world.captions import REFERENCE, caption
from experiments.data.world.scenes import scene
from experiments.data.world.vocabulary import BACKGROUNDS, COLOURS, KINDS, RELATIONS, SIZES, words
from experiments.data.world.world import World

TEXT_WIDTH, TEXT_DEPTH, TEXT_HEADS, MAX_WORDS = 128, 2, 4, 32
CONTRAST_WEIGHT, WORDS_WEIGHT = 0.5, 2.0
SOURCE = "pairs"  # pictures that no data set shows


class PictureText(nn.Module):
    """An encoder with the modules that only its training needs, which are discarded afterwards."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        vocabulary, width = words(), int(encoder.width)  # type: ignore[arg-type]
        self.encoder = encoder
        self.words = nn.Linear(width, len(vocabulary))
        self.picture = nn.Linear(width, TEXT_WIDTH)
        self.embedding = nn.Embedding(len(vocabulary), TEXT_WIDTH)
        self.places = nn.Parameter(torch.randn(MAX_WORDS, TEXT_WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            TEXT_WIDTH, TEXT_HEADS, 2 * TEXT_WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.text = nn.TransformerEncoder(layer, TEXT_DEPTH, enable_nested_tensor=False)
        self.temperature = nn.Parameter(torch.tensor(2.3))  # log of the scale of the cosines

    def forward(self, pixels: Tensor, ids: Tensor, content: Tensor) -> Tensor:
        """Pixels (N, 3, H, W), captions (N, T) padded with 0, content words (N, U) as shares -> the loss."""
        cells: Tensor = self.encoder(pixels)  # (N, S, V)
        found = self.words(cells).logsumexp(dim=1)  # (N, U)
        named = cross_entropy(found, content)
        padding = ids == 0
        hidden = self.text(self.embedding(ids) + self.places[: ids.shape[1]], src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        text = normalize((hidden * kept).sum(dim=1) / kept.sum(dim=1), dim=-1)  # (N, TEXT_WIDTH)
        picture = normalize(self.picture(cells.mean(dim=1)), dim=-1)
        logits = picture @ text.T * self.temperature.exp().clamp(max=100)
        target = torch.arange(len(pixels))
        contrast = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
        return CONTRAST_WEIGHT * contrast + WORDS_WEIGHT * named


def pair_id(index: int) -> str:
    """The id of a pair's picture."""
    return f"train/{SOURCE}/{index}"


def pair_caption(index: int) -> str:
    """The caption of a pair."""
    name = pair_id(index)
    return caption(scene(name), generator("pair", name), REFERENCE)


class Pairs:
    """Pictures with captions, one batch per step; no picture repeats."""

    def __init__(self, world: World, batch_size: int):
        self.world, self.batch_size = world, batch_size
        self._tokenizer = build_tokenizer()
        shown = {*KINDS, *COLOURS, *SIZES, *BACKGROUNDS, *(word for phrase in RELATIONS for word in phrase.split())}
        self._is_content = torch.tensor([word in shown for word in words()])

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels (N, 3, H, W) in 0..1, captions (N, T), and each caption's content words (N, U), summing to one."""
        indices = range(step * self.batch_size, (step + 1) * self.batch_size)
        ids = [pair_id(index) for index in indices]
        rows = [encode(self._tokenizer, pair_caption(index))[0] for index in indices]
        padded = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        content = torch.zeros(len(rows), len(self._is_content))
        for place, row in enumerate(rows):
            padded[place, : len(row)] = torch.tensor(row)
            content[place, torch.tensor(row)] = 1.0
        content *= self._is_content
        pixels = torch.from_numpy(self.world.media(ids)[:, 0]).float() / 255
        return pixels, padded, content / content.sum(dim=1, keepdim=True)
