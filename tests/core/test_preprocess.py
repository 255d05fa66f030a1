"""Media as they come from files, on their way to the encoder."""

import numpy as np
import pytest
import torch

from tests.core import build


def media(*sizes: tuple[int, int], frames: int = 2) -> list[np.ndarray]:
    """(F, 3, h, w) each."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (frames, 3, *size), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("vision", build.ENCODERS)
def test_media_of_one_size_stay_as_they_are(vision: str) -> None:
    """The encoder resizes them together: what was encoded before sizes could differ is encoded the same."""
    given = media((20, 20), (20, 20))
    pixels = build.model(vision=vision).preprocess(given)
    assert pixels.dtype == torch.uint8 and np.array_equal(pixels.numpy(), np.stack(given))


@pytest.mark.parametrize("vision", build.ENCODERS)
def test_a_medium_is_seen_alike_in_any_company(vision: str) -> None:
    """Among media of other sizes as by itself."""
    model, given = build.model(vision=vision), media((20, 31), (16, 16), (40, 24))
    together = model.encode_media(model.preprocess(given).double())
    alone = torch.cat([model.encode_media(model.preprocess([medium])) for medium in given])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_an_encoder_without_one_takes_media_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named; no medium at all is none."""
    model = build.model()
    monkeypatch.delattr(type(model.vision), "preprocess")
    assert len(model.preprocess(media((16, 16)))) == 1 and len(model.preprocess([])) == 0
    with pytest.raises(ValueError, match=r"media differ in size, and ClipVit has no `preprocess`"):
        model.preprocess(media((16, 16), (20, 16)))
