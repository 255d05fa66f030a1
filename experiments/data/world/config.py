"""Sizes of the rendered world."""

from dataclasses import dataclass, field

from experiments.common.rules import Checked, at_least


@dataclass(kw_only=True, slots=True)
class WorldConfig(Checked):
    """Sizes of the rendered world."""

    image_size: int = field(metadata=at_least(16))  # pixels per side
    frames: int = field(metadata=at_least(2))  # frames per clip
    max_media: int = field(metadata=at_least(2))  # maximum pictures per interleaved document; the minimum is 2
    m3w_pictures: int = field(metadata=at_least(20))
    m3w_documents: int = field(metadata=at_least(1))  # interleaved documents drawn over those pictures
    align_pictures: int = field(metadata=at_least(1))
    ltip_pictures: int = field(metadata=at_least(1))
    laion_pictures: int = field(metadata=at_least(1))
    vtp_clips: int = field(metadata=at_least(1))
    captions: int = field(metadata=at_least(1))  # captions per training medium, each a separate example
    # At least 18: blind evaluation takes the medium of another query, 17 places further.
    queries: int = field(metadata=at_least(18))  # queries per benchmark, test split
    val_queries: int = field(metadata=at_least(18))  # queries per benchmark, validation split
    support: int = field(metadata=at_least(10))  # demonstrations to draw from, per benchmark

    def __post_init__(self) -> None:
        # super() without arguments fails in a dataclass with slots, whose class is created twice
        Checked.__post_init__(self)
        least = 10 * self.max_media  # three of ten pictures show one object, and a page may need those only
        if self.m3w_pictures < least:
            raise ValueError(f"`m3w_pictures` is {self.m3w_pictures}; allowed: 10 times `max_media`, {least}, or more")
