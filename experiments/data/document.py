"""A training example: media in order, each with its text, and its layout as one text for a language model."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.data.marks import EOC, IMAGE


@dataclass(frozen=True)
class Chunk:
    """One picture or clip (None: text alone) with its text; the answer is what a model learns to write."""

    medium: str | None
    question: str  # empty before a caption
    answer: str


@dataclass(frozen=True)
class Document:
    """One training example."""

    id: str
    chunks: tuple[Chunk, ...]

    @property
    def media(self) -> tuple[str, ...]:
        """Ids of the media, in the order of their `<image>` tokens."""
        return tuple(chunk.medium for chunk in self.chunks if chunk.medium is not None)


def layout(chunks: Sequence[Chunk], *, text_first: bool = False) -> tuple[str, list[tuple[int, int]]]:
    """The text of a document, and the spans of it, in characters, that a model learns to write.

    `<image>` stands before the text of its medium, or after it with `text_first`.
    """
    text, learned = "", []
    for chunk in chunks:
        mark = [(IMAGE, False)] * (chunk.medium is not None)
        written = [(chunk.question, False)] * bool(chunk.question) + [(chunk.answer, True), (EOC, True)]
        for piece, learn in written + mark if text_first else mark + written:
            text += " " * bool(text)
            if learn:
                learned.append((len(text), len(text) + len(piece)))
            text += piece
    return text, learned
