"""Renders scenes to pixels, many at once, with numpy.

N scenes, F frames, H x W pixels (H = W). Coordinates run from -1 to 1, y downwards. Positions, rotation, light and
noise vary from scene to scene; a scene always looks the same.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from experiments.data.draws import generator
from experiments.data.world.scenes import Scene, Thing
from experiments.data.world.vocabulary import BACKGROUNDS, FILLS, MOTIONS, RELATIONS, SILHOUETTES

Array = npt.NDArray[np.floating]

_RGB = {
    "red": (0.86, 0.10, 0.12),
    "orange": (0.98, 0.52, 0.05),
    "yellow": (0.97, 0.90, 0.15),
    "green": (0.10, 0.72, 0.22),
    "blue": (0.12, 0.28, 0.92),
    "purple": (0.52, 0.16, 0.72),
    "pink": (1.00, 0.58, 0.80),
    "white": (0.97, 0.97, 0.97),
}
_COLOURS = np.array(list(_RGB.values()), dtype=np.float32)
_RADIUS = (0.30, 0.42)  # by size, in half image widths
_STEPS = {"left of": (-0.5, 0.0), "right of": (0.5, 0.0), "above": (0.0, -0.5), "below": (0.0, 0.5)}  # from the middle
_RADIUS_RANGE = (0.17, 0.45)  # of an object that grows or shrinks
_NOISE = 0.04
_CHUNK = 32  # scenes rendered at once: more would not fit the CPU cache


def render(scenes: Sequence[Scene], *, image_size: int, frames: int) -> npt.NDArray[np.uint8]:
    """Scenes -> (N, F, 3, H, W); all of them pictures (F = 1), or all of them clips (F = frames)."""
    chunks = [scenes[start : start + _CHUNK] for start in range(0, len(scenes), _CHUNK)]
    return np.concatenate([_render(chunk, image_size, frames) for chunk in chunks])


def _render(scenes: Sequence[Scene], image_size: int, frames: int) -> npt.NDArray[np.uint8]:
    steps = frames if scenes[0].motion is not None else 1
    axis = ((np.arange(image_size, dtype=np.float32) + 0.5) * 2 / image_size - 1).astype(np.float32)
    y, x = axis[:, None], axis[None, :]
    rngs = [generator("look", scene.id) for scene in scenes]
    # (N, 16), uniform on 0..1; by column: 0-3 first object, 4-5 background, 6-9 second object, 12-15 light
    jitter = np.stack([rng.random(16, dtype=np.float32) for rng in rngs])
    speckle = np.stack([rng.standard_normal((image_size, image_size), dtype=np.float32) for rng in rngs])  # (N, H, W)

    canvas = _backgrounds(scenes, jitter, speckle, x, y)[:, None].repeat(steps, axis=1)  # (N, F, 3, H, W)
    for layer in (1, 0):
        shown = [row for row, scene in enumerate(scenes) if len(scene.things) > layer]
        if shown:
            poses = np.stack([_poses(scenes[row], layer, steps, jitter[row]) for row in shown])  # (M, F, 4)
            canvas[shown] = _paint(canvas[shown], [scenes[row].things[layer] for row in shown], poses, x, y)

    light = 0.85 + 0.3 * jitter[:, 12, None] + 0.06 * (jitter[:, 13:16] - 0.5)  # (N, 3)
    canvas *= light[:, None, :, None, None]
    for row, rng in enumerate(rngs):
        canvas[row] += _NOISE * rng.standard_normal(canvas.shape[1:], dtype=np.float32)
    return (canvas.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _poses(scene: Scene, layer: int, steps: int, jitter: Array) -> Array:
    """Centre x, centre y, radius and rotation of one object in every frame: (F, 4)."""
    swing = 2 * jitter[6 * layer :][:4] - 1  # uniform on -1..1
    radius = np.full(steps, _RADIUS[scene.things[layer].size or 0] * (1 + 0.06 * swing[2]))
    centre = np.zeros((steps, 2), dtype=np.float32)
    if scene.place is None:
        centre += 0.38 * swing[:2]
    else:
        step = _STEPS[RELATIONS[scene.place]]
        spread = (0.04, 0.30) if step[0] else (0.30, 0.04)  # there is little room along the line between the two
        centre += np.array(step) * (1 if layer == 0 else -1) + np.array(spread) * swing[:2]
    if scene.motion is not None and layer == 0:
        motion, along = MOTIONS[scene.motion], np.linspace(-0.5, 0.5, steps)
        if motion in ("rises", "falls"):
            centre[:, 1] = (-along if motion == "rises" else along) + 0.05 * swing[1]
        elif motion in ("advances", "retreats"):
            centre[:, 0] = (along if motion == "advances" else -along) + 0.05 * swing[0]
        else:
            low, high = _RADIUS_RANGE
            radius = np.linspace(low, high, steps)[:: 1 if motion == "grows" else -1]
    rotation = np.full(steps, 0.35 * swing[3])
    return np.column_stack([centre, radius, rotation]).astype(np.float32)


def _paint(canvas: Array, things: Sequence[Thing], poses: Array, x: Array, y: Array) -> Array:
    """Paint one object onto each of M scenes: canvas (M, F, 3, H, W), poses (M, F, 4)."""
    kinds = np.array([thing.kind for thing in things])
    silhouettes, fills = kinds // len(FILLS), kinds % len(FILLS)
    centre_x, centre_y, radius, rotation = (poses[..., i, None, None] for i in range(4))  # each (M, F, 1, 1)
    dx, dy = (x - centre_x) / radius, (y - centre_y) / radius  # (M, F, 1, W), (M, F, H, 1)
    u = np.cos(rotation) * dx + np.sin(rotation) * dy  # (M, F, H, W), in radii of the object
    v = np.cos(rotation) * dy - np.sin(rotation) * dx
    pixel = (x[0, 1] - x[0, 0]) / radius

    distance = np.empty_like(u)  # to the edge, negative inside
    for index, outline in enumerate(_OUTLINES.values()):
        rows = silhouettes == index
        if rows.any():
            distance[rows] = outline(u[rows], v[rows])
    shade = np.ones_like(u)
    inner = (np.hypot(u, v) - 0.34) / pixel
    covered = (0.5 - distance / pixel).clip(0, 1)
    for row, fill in enumerate(fills):
        if FILLS[fill] == "hole":
            covered[row] *= (0.5 + inner[row]).clip(0, 1)
        elif FILLS[fill] == "core":
            shade[row] = 0.08 + 0.92 * (0.5 + inner[row]).clip(0, 1)
        elif FILLS[fill] == "stripes":
            shade[row] = 0.35 + 0.65 * (0.5 + 1.5 * np.sin(9.5 * v[row])).clip(0, 1)
    rim = 0.3 + 0.7 * (-distance / pixel - 0.3).clip(0, 1)  # a dark rim of about a pixel around the object
    colours = _COLOURS[[thing.colour for thing in things]][:, None, :, None, None]
    painted = colours * (np.minimum(shade, rim))[:, :, None]
    return canvas + covered[:, :, None] * (painted - canvas)


def _triangle(u: Array, v: Array) -> Array:
    return np.maximum(v, np.abs(u) * 0.866 - v * 0.5) - 0.6


def _peanut(u: Array, v: Array) -> Array:
    return np.hypot(np.abs(u) - 0.44, v) - 0.62


def _clover(u: Array, v: Array) -> Array:
    lobe = np.hypot(np.maximum(np.abs(u), np.abs(v)) - 0.6, np.minimum(np.abs(u), np.abs(v))) - 0.42
    return np.minimum(lobe, np.hypot(u, v) - 0.55)  # the middle is filled, or it would look like a hole


def _star(u: Array, v: Array) -> Array:
    turn = (np.arctan2(u, -v) * (5 / (2 * np.pi))) % 1  # one point of five, 0 at a tip
    return (np.hypot(u, v) - (0.45 + 0.68 * (2 * np.abs(turn - 0.5)) ** 1.4)) * 0.7


_OUTLINES: dict[str, Callable[[Array, Array], Array]] = dict(
    zip(
        SILHOUETTES,
        (
            lambda u, v: np.hypot(u, v) - 0.95,
            lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.82,
            _triangle,
            _peanut,
            _clover,
            _star,
        ),
        strict=True,
    )
)


def _backgrounds(scenes: Sequence[Scene], jitter: Array, speckle: Array, x: Array, y: Array) -> Array:
    """Backgrounds of the scenes, (N, 3, H, W)."""
    shape = (len(scenes), 3, y.shape[0], x.shape[1])
    canvas = np.empty(shape, dtype=np.float32)
    grounds = np.array([scene.background for scene in scenes])
    for index, name in enumerate(BACKGROUNDS):
        rows = grounds == index
        if rows.any():
            phase = 6.3 * jitter[rows][:, 4:6, None, None]
            base, texture = _TEXTURES[name]
            pattern = texture(x, y, phase[:, 0], phase[:, 1], speckle[rows])  # (n, H, W)
            canvas[rows] = np.array(base, dtype=np.float32)[:, None, None] + pattern[:, None]
    return canvas


def _brick(x: Array, y: Array, p: Array, q: Array, speckle: Array) -> Array:
    rows = y * 2.5 + p
    columns = x * 1.5 + q + 0.5 * (np.floor(rows) % 2)
    mortar = ((rows % 1) < 0.22) | ((columns % 1) < 0.14)
    return 0.2 * mortar + 0.02 * speckle


_TEXTURES: dict[str, tuple[tuple[float, float, float], Callable[..., Array]]] = {
    "grass": ((0.28, 0.42, 0.20), lambda x, y, p, q, s: 0.09 * np.sin(26 * x + p + 2 * np.sin(5 * y + q)) + 0.02 * s),
    "sand": ((0.76, 0.66, 0.45), lambda x, y, p, q, s: 0.07 * s),
    "water": ((0.26, 0.46, 0.60), lambda x, y, p, q, s: 0.09 * np.sin(17 * y + p + 1.2 * np.sin(6 * x + q))),
    "brick": ((0.50, 0.30, 0.25), _brick),
    "snow": ((0.84, 0.88, 0.92), lambda x, y, p, q, s: -0.16 * (s > 1.9)),
    "stone": ((0.42, 0.42, 0.44), lambda x, y, p, q, s: 0.09 * np.sin(7 * x + p + 2 * y) * np.sin(6 * y + q - 3 * x)),
}
