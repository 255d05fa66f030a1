"""Quality of a frozen part on held-out examples: probes of an encoder, answers of a language model.

N pictures, S cells, V width, C classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.data.world.scenes import Scene, scene
from experiments.data.world.vocabulary import BACKGROUNDS, COLOURS, KINDS
from experiments.data.world.world import World

SOURCE = "probe"  # one object per picture
FIT_SPLIT, TEST_SPLIT = "support", "val"  # neither shares a scene with training pictures
ENCODE_BATCH = 100
RIDGE = 1e-3
# The probing tasks: the number of classes, and the right class of a scene.
ASKED: dict[str, tuple[int, Callable[[Scene], int]]] = {
    "kind": (len(KINDS), lambda shown: shown.things[0].kind),
    "colour": (len(COLOURS), lambda shown: shown.things[0].colour),
    "background": (len(BACKGROUNDS), lambda shown: shown.background),
}


def probe(encoder: nn.Module, world: World, *, fit: int, test: int) -> dict[str, float]:
    """Accuracy of a linear classifier on the mean and the maximum over the cells, in percent.

    Fitted on `fit` pictures and tested on `test` others, both unseen by the encoder.
    """
    seen, shown = _features(encoder, world, FIT_SPLIT, fit)
    asked, truth = _features(encoder, world, TEST_SPLIT, test)
    mean, deviation = seen.mean(dim=0), seen.std(dim=0) + 1e-5
    seen, asked = (seen - mean) / deviation, (asked - mean) / deviation
    found = {}
    for name, (classes, answer) in ASKED.items():
        guesses = _classify(seen, torch.tensor([answer(one) for one in shown]), asked, classes)
        found[name] = 100 * float((guesses == torch.tensor([answer(one) for one in truth])).float().mean())
    return found


@torch.no_grad()
def _features(encoder: nn.Module, world: World, split: str, count: int) -> tuple[Tensor, list[Scene]]:
    ids = [f"{split}/{SOURCE}/{index}" for index in range(count)]
    pooled = []
    for start in range(0, count, ENCODE_BATCH):
        pixels = torch.from_numpy(world.media(ids[start : start + ENCODE_BATCH])[:, 0]).float() / 255
        cells = encoder(pixels)  # (N, S, V)
        pooled.append(torch.cat([cells.mean(dim=1), cells.amax(dim=1)], dim=-1))
    return torch.cat(pooled), [scene(name) for name in ids]


def _classify(seen: Tensor, labels: Tensor, asked: Tensor, classes: int) -> Tensor:
    """Logistic regression with a small ridge, fitted by L-BFGS from zero: no randomness."""
    linear = nn.Linear(seen.shape[1], classes)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(linear(seen), labels) + RIDGE * linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return torch.as_tensor(linear(asked)).argmax(dim=-1)
