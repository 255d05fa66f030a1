"""Time embeddings: how a resampler tells the frames of a clip apart.

B media, F frames, S features per frame, W width.
"""

from torch import Tensor


def add_frame_embedding(features: Tensor, frame_embedding: Tensor) -> Tensor:
    """(B, F, S, W) plus one learned vector per frame, `frame_embedding` (max_frames, W); an image is frame 0.

    Raises:
        ValueError: more frames than embeddings.
    """
    num_frames, max_frames = features.shape[1], len(frame_embedding)
    if num_frames > max_frames:
        raise ValueError(f"a clip has {num_frames} frames; the resampler's `max_frames` is {max_frames}")
    return features + frame_embedding[:num_frames, None]
