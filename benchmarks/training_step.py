"""One training step and the activations it keeps, beside flamingo-pytorch's parts and transformers' Idefics.

    python -m benchmarks.training_step [--rounds 15]

A step is forward, backward, clipping and a fused AdamW update over what trains, on features that are given.
Ratios below 1 are in our favour. Images that stand close together leave one of them with most of the text; our
cross-attention then scores all media, as the others always do.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.measure import interleave, paired_ratio, print_environment, print_table, saved_bytes, trained_parameters
from benchmarks.peers import FlamingoPytorch, idefics
from benchmarks.shape import Batch, draw_batch, flamingo

SHAPES = (
    {"tokens": 96, "images": 3, "examples": 4, "even": True},
    {"tokens": 96, "images": 3, "examples": 4, "even": False},
    {"tokens": 256, "images": 5, "examples": 2, "even": True},
)
OURS = "this repository"


@dataclass(frozen=True)
class Side:
    """A model with its loss and its optimizer."""

    model: nn.Module
    loss: Callable[[Batch], Tensor]
    optimizer: torch.optim.Optimizer

    def step(self, batch: Batch) -> None:
        """One whole step."""
        self.loss(batch).backward()
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def make_sides() -> dict[str, Side]:
    """All sides in training mode, each with an AdamW of its own."""
    ours, parts, theirs = flamingo(), FlamingoPytorch(), idefics()

    def our_loss(batch: Batch) -> Tensor:
        return ours(
            batch.input_ids,
            batch.attention_mask,
            media_features=batch.features.flatten(0, 1).unsqueeze(1),
            media_counts=batch.media_counts,
            labels=batch.input_ids,
        ).loss

    def parts_loss(batch: Batch) -> Tensor:
        return parts(batch.input_ids, batch.attention_mask, batch.features, batch.input_ids).loss

    def idefics_loss(batch: Batch) -> Tensor:
        return theirs(
            batch.input_ids,
            batch.attention_mask,
            image_encoder_embeddings=batch.features,
            image_attention_mask=batch.sees.long(),
            labels=batch.input_ids,
            use_cache=False,
        ).loss

    losses = {OURS: (ours, our_loss), "flamingo-pytorch": (parts, parts_loss), "Idefics": (theirs, idefics_loss)}
    return {
        name: Side(model.train(), loss, torch.optim.AdamW(trained_parameters(model), lr=1e-4, fused=True))
        for name, (model, loss) in losses.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="paired rounds for each shape, at least 6")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print_environment()
    sides = make_sides()
    for shape in SHAPES:
        spread = "evenly spread" if shape["even"] else "where chance puts them"
        print(
            f"\n{shape['tokens']} tokens, {shape['images']} images {spread}, batch {shape['examples']}; {rounds} rounds"
        )
        batch = draw_batch(**shape, seed=0)
        times = interleave(
            {name: lambda side=side, batch=batch: side.step(batch) for name, side in sides.items()}, rounds=rounds
        )
        kept = {
            name: saved_bytes(side.model, lambda side=side, batch=batch: side.loss(batch))
            for name, side in sides.items()
        }
        print_table(
            ("", "trained", "CPU time", "ours / theirs", "saved activations", "ours / theirs"),
            (
                (
                    name,
                    f"{sum(parameter.numel() for parameter in trained_parameters(side.model)) / 1e6:.2f}M",
                    f"{median(times[name]):.3f} s",
                    "" if name == OURS else paired_ratio(times[OURS], times[name]),
                    f"{kept[name] / 2**20:.1f} MiB",
                    "" if name == OURS else f"{kept[OURS] / kept[name]:.2f}",
                )
                for name, side in sides.items()
            ),
        )


if __name__ == "__main__":
    main()
