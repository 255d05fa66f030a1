"""Questions of a scale's benchmarks, and the stored baseline's captions: the figures that docs/desk.md states.

python -m benchmarks.world [scale=desk] [seed=0]

Another writer is the world's own caption of the same scene, drawn anew; a caption of another picture is that of the
query 17 places on.
"""

import sys
from collections import Counter
from collections.abc import Sequence

from benchmarks.measure import print_table


def main(words: list[str]) -> None:
    """Print answers, captions, and what the baseline's captions get right."""
    from experiments.data.world.queries import CAPTIONING, queries
    from experiments.data.world.world import World
    from experiments.evaluation.benchmark import published
    from experiments.spec.spec import make_spec

    spec = make_spec(*words)
    world = World(spec.data.world)
    asked = {one.name: queries(world, one.name) for one in published()}
    print(f"{spec.scale}: {spec.data.world.queries} test queries a benchmark")
    rows = []
    for one in published():
        if one.name not in CAPTIONING:
            answers = Counter(query.scored_part(query.answers[0]) for query in asked[one.name])
            most = answers.most_common(1)[0]
            rows.append([one.label, str(len(answers)), f"{100 * most[1] / len(asked[one.name]):.1f}% `{most[0]}`"])
    print_table(["questions", "answers", "the most frequent"], rows)
    rows = []
    for one in published():
        if one.name in CAPTIONING:
            other, another = written(asked[one.name])
            rows.append([one.label, f"{other:.0f}", f"{another:.0f}"])
    print_table(["CIDEr of", "another writer", "a caption of another picture"], rows)
    print_captions(spec, asked["coco"])


def written(asked: Sequence) -> tuple[float, float]:
    """CIDEr, in points, of the world's own captions of these queries' scenes, and of other scenes' captions."""
    from experiments.data.draws import generator
    from experiments.data.world.captions import REFERENCE, caption
    from experiments.data.world.scenes import scene
    from experiments.evaluation.cider import cider_d
    from experiments.store.names import BLIND_OFFSET

    captions = [caption(scene(query.medium), generator("another writer", query.id), REFERENCE) for query in asked]
    references = [list(query.answers) for query in asked]
    turned = captions[BLIND_OFFSET:] + captions[:BLIND_OFFSET]
    return 100 * float(cider_d(captions, references)[0]), 100 * float(cider_d(turned, references)[0])


def print_captions(spec, asked: Sequence) -> None:
    """Of the baseline's stored captions, how many name the kinds and colours that the picture shows."""
    from experiments.data.world.scenes import scene
    from experiments.data.world.vocabulary import COLOURS, KINDS
    from experiments.store import reader

    run = reader.find_finished(spec.hash, spec.seed)
    frame = None if run is None else reader.load_predictions(run, "coco")
    if frame is None:
        print(f"no finished run of {spec.title} is stored: nothing to say of its captions")
        return
    answers = frame.set_index("id")["answer"]
    counts: dict[int, Counter] = {1: Counter(), 2: Counter()}
    for query in asked:
        things, answer = scene(query.medium).things, answers[query.id]
        kinds = all(KINDS[thing.kind] in answer.split() for thing in things)
        phrases = all(f"{COLOURS[thing.colour]} {KINDS[thing.kind]}" in answer for thing in things)
        counts[len(things)].update({"pictures": 1, "kinds": kinds, "colours": phrases})
    print_table(
        [f"{spec.title}, COCO", "pictures", "all kinds right", "and each in its colour"],
        [
            [f"{n} things" if n > 1 else "1 thing", *(str(some[key]) for key in ("pictures", "kinds", "colours"))]
            for n, some in counts.items()
        ],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
