"""Draw docs/samples.md and its pictures: what the desk scale's data sets and benchmarks look like.

python docs/make_samples.py
"""

from pathlib import Path

import numpy as np

from experiments.data.config import DATASETS
from experiments.data.document import layout
from experiments.data.world.documents import document
from experiments.data.world.queries import WorldQuery
from experiments.data.world.world import World
from experiments.evaluation.benchmark import published
from experiments.evaluation.prompts import Prompt, build_prompts
from experiments.spec.spec import Spec, make_spec

DOCS = Path(__file__).parent
SHOWN = 4  # examples of each
ENLARGED = 3  # times
GAP = 6  # pixels between pictures
WHITE = 255


def sheet(world: World, rows: list[list[str]], path: Path) -> None:
    """One picture: a row of media for each list of ids, a clip as its frames side by side."""
    from PIL import Image

    strips = []
    for ids in rows:
        tiles = [world.media([medium])[0].transpose(2, 0, 3, 1) for medium in ids]  # (H, F, W, 3)
        flat = [tile.reshape(tile.shape[0], -1, 3) for tile in tiles]
        big = [np.kron(tile, np.ones((ENLARGED, ENLARGED, 1), dtype=np.uint8)) for tile in flat]
        strips.append(
            np.concatenate([np.pad(tile, ((0, GAP), (0, GAP), (0, 0)), constant_values=WHITE) for tile in big], 1)
        )
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=WHITE) for strip in strips]
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(padded)).save(path, optimize=True)


def examples_of(spec: Spec, dataset: str) -> tuple[list[list[str]], list[str]]:
    """Media and text of the first examples of a data set."""
    examples = [document(spec.data.world, dataset, index) for index in range(SHOWN)]
    return [list(example.media) for example in examples], [layout(example.chunks)[0] for example in examples]


def told(query: WorldQuery) -> str:
    """The answers that count as right."""
    return " / ".join(dict.fromkeys(query.answers)) + (f" (name: {query.name})" if query.name else "")


def first_prompts(spec: Spec, benchmark: str) -> list[Prompt]:
    """The prompts of a benchmark's first two queries."""
    source = spec.sources().of(benchmark)
    return build_prompts(source, benchmark, seed=0, shots=spec.eval.shots)[:2]


def text(spec: Spec) -> str:
    """The page."""
    lines = [
        "# What the world looks like",
        "",
        "The first examples of every data set and benchmark of the `desk` scale, drawn by `docs/make_samples.py`.",
        "Pictures are three times enlarged; a clip is shown as its frames. `<image>` stands where a picture does.",
        "",
        "## Training",
    ]
    for dataset in DATASETS:
        _, texts = examples_of(spec, dataset)
        lines += ["", f"### {dataset}", "", f"![{dataset}](samples/{dataset}.png)", ""]
        lines += [f"{number}. `{one}`" for number, one in enumerate(texts, start=1)]
    lines += [
        "",
        "## Benchmarks",
        "",
        "A query as the model reads it, 4 shots, seed 0: each line but the last is a demonstration.",
    ]
    for benchmark in published():
        prompts = first_prompts(spec, benchmark.name)
        lines += ["", f"### {benchmark.label}", "", f"![{benchmark.label}](samples/{benchmark.name}.png)"]
        for prompt in prompts:
            lines += [
                "",
                "```text",
                *prompt.text.replace("<EOC> ", "<EOC>\n").splitlines(),
                "```",
                f"right: {told(prompt.query)}",
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page and its pictures."""
    spec = make_spec("scale=desk")
    world = World(spec.data.world)
    for dataset in DATASETS:
        sheet(world, examples_of(spec, dataset)[0], DOCS / "samples" / f"{dataset}.png")
    for benchmark in published():
        prompts = first_prompts(spec, benchmark.name)
        sheet(world, [list(prompt.media) for prompt in prompts], DOCS / "samples" / f"{benchmark.name}.png")
    (DOCS / "samples.md").write_text(text(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
