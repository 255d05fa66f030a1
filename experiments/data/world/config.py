"""How large the rendered world is."""

from dataclasses import dataclass, field

from experiments.common.rules import Checked, at_least


@dataclass(kw_only=True, slots=True)
class WorldConfig(Checked):
    """How large the rendered world is."""

    image_size: int = field(metadata=at_least(16))  # pixels a side
    frames: int = field(metadata=at_least(2))  # frames a clip
    max_media: int = field(metadata=at_least(2))  # pictures an interleaved document has at most; it has at least 2
    m3w_pictures: int = field(metadata=at_least(20))
    m3w_documents: int = field(metadata=at_least(1))  # interleaved documents drawn over those pictures
    align_pictures: int = field(metadata=at_least(1))
    ltip_pictures: int = field(metadata=at_least(1))
    laion_pictures: int = field(metadata=at_least(1))
    vtp_clips: int = field(metadata=at_least(1))
    captions: int = field(metadata=at_least(1))  # captions a training medium has, each an example of its own
    # At least 18: blind evaluation takes the medium of another query, 17 places on.
    queries: int = field(metadata=at_least(18))  # queries a benchmark, test split
    val_queries: int = field(metadata=at_least(18))  # queries a benchmark, validation split
    support: int = field(metadata=at_least(10))  # demonstrations to draw from, a benchmark

    def __post_init__(self) -> None:
        # the zero-argument form does not work in a dataclass with slots, which is made twice
        Checked.__post_init__(self)
        least = 10 * self.max_media  # three of ten pictures show one thing, which a page may ask for alone
        if self.m3w_pictures < least:
            raise ValueError(f"`m3w_pictures` is {self.m3w_pictures}; allowed: 10 times `max_media`, {least}, or more")
