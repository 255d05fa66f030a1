"""The root of the checkout, which holds the local store, the caches and the built-in YAML files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
