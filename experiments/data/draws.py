"""Random draws that depend on their key alone, never on what was drawn before or on the machine."""

import hashlib

import numpy as np


def key_number(*key: str | int) -> int:
    """128 bits that depend on the key alone. Python's `hash` differs between processes."""
    text = "\x1f".join(str(part) for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def generator(*key: str | int) -> np.random.Generator:
    """A random generator for the key: equal keys give equal draws, different keys independent ones."""
    return np.random.Generator(np.random.PCG64(key_number(*key)))
