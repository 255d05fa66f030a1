"""Greedy few-shot generation, beside transformers' Idefics with its own `generate`.

    python -m benchmarks.generation [--rounds 9]

Features of the prompt's images are given; resampling them, reading the prompt and writing 32 tokens is timed. A shot is
one image with 20 tokens, and so is the query.
"""

import argparse
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.measure import interleave, paired_ratio, print_environment, print_table
from benchmarks.peers import idefics
from benchmarks.shape import Batch, draw_batch, flamingo

SHOTS = (0, 4, 16)
TOKENS_A_SHOT, NEW_TOKENS, EXAMPLES = 20, 32, 4


def make_sides() -> dict[str, Callable[[Batch], Tensor]]:
    """Each side as a function from a batch to prompts with what was written."""
    ours, theirs = flamingo().eval(), idefics().eval()
    theirs.generation_config.eos_token_id = None  # as ours here: nobody stops early

    def write(batch: Batch) -> Tensor:
        return ours.generate(
            batch.input_ids,
            attention_mask=batch.attention_mask,
            media_features=batch.features.flatten(0, 1).unsqueeze(1),
            media_counts=batch.media_counts,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
        )

    def idefics_write(batch: Batch) -> Tensor:
        return theirs.generate(
            batch.input_ids,
            attention_mask=batch.attention_mask,
            pixel_values=batch.features,
            image_attention_mask=batch.sees.long(),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
        )

    return {"this repository": write, "Idefics": idefics_write}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="paired rounds for each number of shots, at least 6")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print_environment()
    print(f"{NEW_TOKENS} new tokens, batch {EXAMPLES}, {rounds} rounds\n")
    sides = make_sides()
    ours, theirs = sides
    rows = []
    for shots in SHOTS:
        tokens, images = TOKENS_A_SHOT * (shots + 1), shots + 1
        batch = draw_batch(examples=EXAMPLES, tokens=tokens, images=images, seed=shots)
        for name, side in sides.items():
            written = side(batch).shape[1] - tokens
            if written != NEW_TOKENS:
                raise SystemExit(f"{name} wrote {written} tokens instead of {NEW_TOKENS}")
        turns = {name: lambda side=side, batch=batch: side(batch) for name, side in sides.items()}
        times = interleave(turns, rounds=rounds, warmup=0)  # the check above warmed up
        rows.append(
            (
                f"{shots} shots",
                str(tokens),
                str(images),
                f"{median(times[ours]):.3f} s",
                f"{median(times[theirs]):.3f} s",
                paired_ratio(times[theirs], times[ours]),
            )
        )
    print_table(("", "prompt tokens", "images", ours, theirs, "times faster"), rows)


if __name__ == "__main__":
    main()
