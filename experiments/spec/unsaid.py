"""Problems for missing values, and for values that a config class rejects."""

import re
from dataclasses import MISSING, Field, fields
from typing import Any

from experiments.common.problems import Problem

UNSAID = "???"  # OmegaConf's marker for a missing value


def default_of(entry: Field) -> Any:
    """The default of a field, `UNSAID` if it has none."""
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return UNSAID if entry.default is MISSING else entry.default


def unsaid(key: str, scale: str) -> Problem:
    """The problem for a key without a value."""
    hint = f"say it in the file of scale `{scale}`, or on the command line: {key}=..."
    return Problem(text=f"`{key}` has no value at scale `{scale}`", hint=hint, key=key)


def reworded(error: Exception, prefix: str, config: type) -> Problem:
    """An error raised by a config class as a problem, with fields named by their full keys."""
    own = {entry.name for entry in fields(config)}
    text = "; ".join(str(error).removeprefix(f"{config.__name__}: ").splitlines())
    named = [word for word in re.findall(r"`(\w+)` is", text) if word in own]
    text = re.sub(r"`(\w+)`", lambda match: f"`{prefix}{match[1]}`" if match[1] in own else match[0], text)
    return Problem(text=text, key=f"{prefix}{named[0]}" if named else prefix.rstrip("."))
