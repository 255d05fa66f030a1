"""The five benchmarks on the world's unseen scenes, and the support sets that demonstrations come from.

coco and vatex ask for a caption of a picture or clip; vqav2 and msvdqa ask about what it shows; okvqa asks for a fact
about the shown kind, with pairs of kind and relation that training never asks with a picture.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.data.draws import generator
from experiments.data.query import Query
from experiments.data.world.captions import REFERENCE, caption
from experiments.data.world.questions import draw_fact, named_fact, question
from experiments.data.world.scenes import scene
from experiments.data.world.vocabulary import KINDS

if TYPE_CHECKING:
    from experiments.data.world.world import World

ROLES = ("coco", "okvqa", "vqav2", "msvdqa", "vatex")  # the benchmarks that the world has queries for
CAPTIONING = ("coco", "vatex")
OKVQA_NAME = "okvqa_name_top1"  # how often the answer begins with the right name; not part of Overall
NUM_REFERENCES = 5
NUM_ANNOTATORS = 10


@dataclass(frozen=True)
class WorldQuery(Query):
    """A query of the world, with access to what its picture or clip shows."""

    name: str | None = None  # okvqa: the kind asked about, which a full answer names before the fact

    @property
    def shown(self) -> tuple[str, ...]:
        """The kinds that the picture or clip shows."""
        return tuple(KINDS[thing.kind] for thing in scene(self.medium).things)

    @property
    def completion(self) -> str:
        """The first answer; for a fact question, preceded by the kind's name."""
        return self.answers[0] if self.name is None else named_fact(KINDS.index(self.name), self.answers[0])

    def allows(self, demonstration: Query) -> bool:
        """As for every query; for a fact question, demonstrations must not show the same kind either."""
        assert isinstance(demonstration, WorldQuery)
        return Query.allows(self, demonstration) and (self.name is None or self.name not in demonstration.shown)

    def scored_part(self, text: str) -> str:
        """The last word (the fact) for a fact question, else the whole text."""
        return text.split()[-1] if self.name is not None and text.split() else text

    def further_scores(self, text: str) -> dict[str, float]:
        """For a fact question, whether the answer begins with the right kind."""
        return {} if self.name is None else {OKVQA_NAME: 100.0 * (text.split()[:1] == [self.name])}


def queries(world: "World", benchmark: str, split: str = "test") -> list[WorldQuery]:
    """All queries of a benchmark, of split `test` or `val`."""
    return sample(benchmark, split, {"test": world.config.queries, "val": world.config.val_queries}[split])


def support(world: "World", benchmark: str) -> list[WorldQuery]:
    """The examples of a benchmark that demonstrations are drawn from."""
    return sample(benchmark, "support", world.config.support)


def sample(benchmark: str, split: str, count: int) -> list[WorldQuery]:
    """The first examples of a benchmark in a split."""
    return [_query(benchmark, f"{split}/{benchmark}/{index}") for index in range(count)]


def _query(benchmark: str, medium: str) -> WorldQuery:
    rng, shown = generator("query", medium), scene(medium)
    if benchmark in CAPTIONING:
        references = tuple(caption(shown, rng, REFERENCE) for _ in range(NUM_REFERENCES))
        return WorldQuery(medium, benchmark, medium, "", references)
    if benchmark == "okvqa":
        asked, value, kind = draw_fact(shown, rng, seen_with_pictures=False)
        return WorldQuery(medium, benchmark, medium, asked, (value,) * NUM_ANNOTATORS, KINDS[kind])
    asked, answer = question(shown, rng)
    return WorldQuery(medium, benchmark, medium, asked, (answer,) * (NUM_ANNOTATORS if benchmark == "vqav2" else 1))
