"""CIDEr-D of generated captions, as the COCO caption evaluation computes it (Vedantam et al., 2015).

N-grams of one to four words, weighted by how few images' references have them, compared by a clipped cosine, and a
Gaussian penalty on the difference in length. The scale is that of the COCO tools: 1.0 is what tables print as 100
points, the maximum is 10.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from experiments.evaluation.ptb_tokenizer import ptb_tokenize, ptb_tokenize_all

__all__ = ["cider_d", "ptb_tokenize", "ptb_tokenize_all"]

NGRAM_SIZES = (1, 2, 3, 4)
LENGTH_SIGMA = 6.0
SCALE = 10.0

Ngrams = Counter[tuple[str, ...]]


class Vector(NamedTuple):
    """The weighted n-grams of a caption by size, their norms, and the caption's length."""

    weights: tuple[dict[tuple[str, ...], float], ...]
    norms: tuple[float, ...]
    length: int  # in words


def count_ngrams(tokens: Sequence[str]) -> Ngrams:
    """Count the n-grams of one to four words in a tokenised caption."""
    # Tokens that hold a no-break space (`1 1/2`) are two words to the COCO tools, which split the tokenised line again.
    words = " ".join(tokens).split()
    return Counter(tuple(words[start : start + size]) for size in NGRAM_SIZES for start in range(len(words) - size + 1))


def weigh(ngrams: Ngrams, document_frequency: Ngrams, num_images: int) -> Vector:
    """N-gram counts times the logarithm of their rarity. An n-gram in no reference counts as if one image had it."""
    weights: tuple[dict[tuple[str, ...], float], ...] = tuple({} for _ in NGRAM_SIZES)
    for ngram, count in ngrams.items():
        rarity = math.log(num_images) - math.log(max(1, document_frequency[ngram]))
        weights[len(ngram) - 1][ngram] = count * rarity
    norms = tuple(math.sqrt(sum(weight**2 for weight in of_size.values())) for of_size in weights)
    return Vector(weights, norms, sum(count for ngram, count in ngrams.items() if len(ngram) == 1))


def similarity(candidate: Vector, reference: Vector) -> float:
    """The clipped cosine averaged over n-gram sizes, times the length penalty; from 0 to 1."""
    total = 0.0
    for ours, theirs, our_norm, their_norm in zip(
        candidate.weights, reference.weights, candidate.norms, reference.norms, strict=True
    ):
        if our_norm and their_norm:
            # Clipping: saying an n-gram more often than the reference does gains nothing.
            shared = sum(
                min(weight, theirs[ngram]) * theirs[ngram] for ngram, weight in ours.items() if ngram in theirs
            )
            total += shared / (our_norm * their_norm)
    difference = candidate.length - reference.length
    return total / len(NGRAM_SIZES) * math.exp(-(difference**2) / (2 * LENGTH_SIGMA**2))


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """Score one caption for each image against the references of that image.

    Rarity is computed from the given references, so that a score depends on the whole set of images. A set of one image
    scores 0, because all its n-grams are in every image. As in the COCO tools, the tokenizer reads all candidates as
    one text and all references as another: if captions end in a single letter and a full stop, their order matters.

    Args:
        candidates: one caption for each image.
        references: one or more captions for each image, in the same order.

    Returns:
        The corpus score, which is the mean over images, and the score of each image.

    Raises:
        ValueError: there are no images, the numbers of images differ, or an image has no reference.
    """
    if not len(candidates) or len(candidates) != len(references):
        raise ValueError(
            f"CIDEr-D needs one candidate for each image's references: {len(candidates)} candidates, "
            f"references of {len(references)} images"
        )
    for image, of_image in enumerate(references):
        if isinstance(of_image, str) or not len(of_image):
            raise ValueError(f"references of image {image} are {of_image!r}; allowed: one or more captions in a list")

    tokens = iter(ptb_tokenize_all([reference for of_image in references for reference in of_image]))
    counted = [[count_ngrams(next(tokens)) for _ in of_image] for of_image in references]
    document_frequency: Ngrams = Counter(ngram for of_references in counted for ngram in set().union(*of_references))
    num_images = len(candidates)
    per_image = []
    for candidate, of_references in zip(ptb_tokenize_all(candidates), counted, strict=True):
        vector = weigh(count_ngrams(candidate), document_frequency, num_images)
        similarities = [similarity(vector, weigh(ngrams, document_frequency, num_images)) for ngrams in of_references]
        per_image.append(SCALE * math.fsum(similarities) / len(similarities))
    return math.fsum(per_image) / len(per_image), per_image
