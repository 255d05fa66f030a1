"""The pretrained parts of a scale: their sizes, training recipes and paths, and how one part is trained."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.common.checkout import ROOT
from experiments.common.yaml_file import read
from experiments.data.world.config import WorldConfig
from experiments.pretraining.loop import PretrainConfig, fit
from experiments.spec.schema import make_schema
from experiments.spec.yaml_files import CONF, SCALE, compose_files, known
from experiments.store.places import cache_folder, in_cache

if TYPE_CHECKING:
    from torch import nn

RECIPES = CONF / "pretrain"
VERSION = 1  # raised when the training of a part changes
SAMPLES = 32  # texts that represent all texts in a part's identity


@dataclass(frozen=True, kw_only=True)
class FrozenPart:
    """An encoder or a language model of a scale, and where the scale's YAML expects its weights."""

    scale: str
    slot: str  # vision or lm
    name: str
    sizes: dict[str, Any]  # the component's own config, without a path
    world: WorldConfig
    recipe: PretrainConfig
    path: Path

    @property
    def identity(self) -> str:
        """A hash of everything that determines the weights."""
        read = [_read(self.slot, index) for index in range(SAMPLES)]
        said = [VERSION, self.slot, self.name, self.sizes, self.world.image_size, asdict(self.recipe), read]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @property
    def work_folder(self) -> Path:
        """The folder of its checkpoint while it trains."""
        return cache_folder() / "pretrain" / f"{self.scale}-{self.name}"


def _read(slot: str, index: int) -> str:
    """One training text of a part."""
    from experiments.data.document import layout
    from experiments.data.world.text import text_document
    from experiments.pretraining.vision import pair_caption

    return layout(text_document(index).chunks)[0] if slot == "lm" else pair_caption(index)


def scales() -> dict[str, Path]:
    """The scales whose parts are trained here."""
    recipes = {path.stem: path for path in RECIPES.glob("*.yaml")}
    return {name: recipes[name] for name in known(SCALE) if name in recipes}


def parts_of(scale: str) -> dict[str, FrozenPart]:
    """The parts of a scale by name, in the order of its recipes: the longest first."""
    said = compose_files(make_schema(), scale, ())
    recipes = read(scales()[scale])
    found = {}
    for name, recipe in recipes.items():
        slot = next(slot for slot in ("vision", "lm") if isinstance(said["model"][slot].get(name), dict))
        sizes = dict(said["model"][slot][name])
        path = sizes.pop("path", None) or said["model"][slot]["path"]
        found[name] = FrozenPart(
            scale=scale,
            slot=slot,
            name=name,
            sizes=sizes,
            world=WorldConfig(**said["data"]["world"]),
            recipe=PretrainConfig(**recipe),
            path=ROOT / in_cache(Path(path)),
        )
    return found


def train_part(part: FrozenPart) -> "tuple[nn.Module, dict[str, Any]]":
    """Train a part from scratch, or resume its training; returns the module and its quality.

    Raises:
        KeyboardInterrupt: stopped; the same call resumes.
    """
    import torch

    torch.set_num_threads(1)
    started = time.process_time()
    module, quality = (_train_encoder if part.slot == "vision" else _train_language_model)(part)
    return module, {**quality, "cpu_time_s": round(time.process_time() - started)}


def _train_encoder(part: FrozenPart) -> "tuple[nn.Module, dict[str, Any]]":
    from experiments.data.world.world import World
    from experiments.pretraining.quality import probe
    from experiments.pretraining.vision import Pairs, PictureText
    from flamingo_core import registry
    from flamingo_core.init import FROZEN_SEED, draws_of, initialise

    world = World(part.world)
    encoder = registry.build("vision", {"name": part.name, part.name: part.sizes})
    initialise(encoder, seed=FROZEN_SEED, name="vision")
    with draws_of(FROZEN_SEED, "objective"):
        objective = PictureText(encoder)
    pairs = Pairs(world, part.recipe.batch_size)
    fit(
        part.name,
        objective,
        lambda step: objective(*pairs.batch(step)),
        part.recipe,
        part.work_folder,
        identity=part.identity,
    )
    return encoder, {f"{name} %": round(share, 1) for name, share in probe(encoder, world, fit=4000, test=2000).items()}


def _train_language_model(part: FrozenPart) -> "tuple[nn.Module, dict[str, Any]]":
    from experiments.pretraining.language import Texts, answers_known, facts_known, prepare, weighted_loss
    from flamingo_core import registry
    from flamingo_core.init import FROZEN_SEED, initialise

    choice = {"name": part.name, part.name: part.sizes}
    model = registry.build("lm", choice, path=None, load_weights=False).model
    initialise(model, seed=FROZEN_SEED, name="lm")
    prepare(model)
    texts = Texts(part.recipe.batch_size)
    fit(
        part.name,
        model,
        lambda step: weighted_loss(model, texts.batch(step)),
        part.recipe,
        part.work_folder,
        identity=part.identity,
    )
    return model, {"facts %": round(facts_known(model), 1), "answers %": round(answers_known(model), 1)}
