"""A query: one example of a benchmark. The same form serves as a demonstration."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """A medium, a question and its answers. A source may use a subclass with more fields."""

    id: str
    benchmark: str
    medium: str
    question: str  # empty for captioning
    answers: tuple[str, ...]  # references of a caption, or each annotator's answer

    @property
    def completion(self) -> str:
        """The text after the question when the example is a demonstration."""
        return self.answers[0]

    def allows(self, demonstration: "Query") -> bool:
        """Whether an example may be shown before this query: never one that would give the answer away."""
        return demonstration.medium != self.medium

    def scored_part(self, text: str) -> str:
        """The part of a generated text that is compared with the answers."""
        return text

    def further_scores(self, text: str) -> dict[str, float]:
        """Additional scores of a generated text by metric, in points; the same metrics for all queries.

        They do not count towards Overall.
        """
        return {}
