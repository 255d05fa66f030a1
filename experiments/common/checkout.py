"""The checkout: the local store, caches and the built-in YAML files lie in it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
