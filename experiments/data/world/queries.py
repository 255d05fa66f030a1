"""The five benchmarks on the world's unseen scenes, and the support sets that demonstrations come from.

coco and vatex ask for a caption of a picture or clip, vqav2 and msvdqa a question that it answers, okvqa one that only
knowledge of the shown kind answers: pairs of kind and relation that training never asks beside a picture.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.data.draws import generator
from experiments.data.world.captions import REFERENCE, caption
from experiments.data.world.questions import draw_fact, named_fact, question
from experiments.data.world.scenes import scene
from experiments.data.world.vocabulary import KINDS

if TYPE_CHECKING:
    from experiments.data.world.world import World

CAPTIONING = ("coco", "vatex")
NUM_REFERENCES = 5
NUM_ANNOTATORS = 10


@dataclass(frozen=True)
class Query:
    """One example of a benchmark."""

    id: str
    benchmark: str
    medium: str
    question: str  # empty for captioning
    answers: tuple[str, ...]  # references of a caption, or what each annotator answered
    name: str | None = None  # okvqa: what is asked about, which a full answer says before the fact

    @property
    def shown(self) -> tuple[str, ...]:
        """The kinds that the picture or clip shows."""
        return tuple(KINDS[thing.kind] for thing in scene(self.medium).things)

    @property
    def completion(self) -> str:
        """What stands behind the question where the example is a demonstration."""
        return self.answers[0] if self.name is None else named_fact(KINDS.index(self.name), self.answers[0])


def queries(world: "World", benchmark: str, split: str = "test") -> list[Query]:
    """All queries of a benchmark, of split `test` or `val`."""
    return sample(benchmark, split, {"test": world.config.queries, "val": world.config.val_queries}[split])


def support(world: "World", benchmark: str) -> list[Query]:
    """The examples of a benchmark that demonstrations are drawn from."""
    return sample(benchmark, "support", world.config.support)


def sample(benchmark: str, split: str, count: int) -> list[Query]:
    """The first examples of a benchmark in a split."""
    return [_query(benchmark, f"{split}/{benchmark}/{index}") for index in range(count)]


def scored_part(benchmark: str, text: str) -> str:
    """What of a generated text is compared with the answers: the last word (the fact) in okvqa, else everything."""
    return text.split()[-1] if benchmark == "okvqa" and text.split() else text


def _query(benchmark: str, medium: str) -> Query:
    rng, shown = generator("query", medium), scene(medium)
    if benchmark in CAPTIONING:
        references = tuple(caption(shown, rng, REFERENCE) for _ in range(NUM_REFERENCES))
        return Query(medium, benchmark, medium, "", references)
    if benchmark == "okvqa":
        asked, value, kind = draw_fact(shown, rng, seen_with_pictures=False)
        return Query(medium, benchmark, medium, asked, (value,) * NUM_ANNOTATORS, KINDS[kind])
    asked, answer = question(shown, rng)
    return Query(medium, benchmark, medium, asked, (answer,) * (NUM_ANNOTATORS if benchmark == "vqav2" else 1))
