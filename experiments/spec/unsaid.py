"""Values that no file says, and a config's own complaint about those that are said, as problems."""

import re
from dataclasses import MISSING, Field, fields
from typing import Any

from experiments.common.problems import Problem

UNSAID = "???"  # OmegaConf's mark for a value that no YAML gives


def default_of(entry: Field) -> Any:
    """The default of a field, `UNSAID` where it has none."""
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return UNSAID if entry.default is MISSING else entry.default


def unsaid(key: str, scale: str) -> Problem:
    """The problem that a key has no value."""
    hint = f"say it in the file of scale `{scale}`, or on the command line: {key}=..."
    return Problem(text=f"`{key}` has no value at scale `{scale}`", hint=hint, key=key)


def reworded(error: Exception, prefix: str, config: type) -> Problem:
    """A component's own complaint about its config, with its fields named by their keys."""
    own = {entry.name for entry in fields(config)}
    text = "; ".join(str(error).removeprefix(f"{config.__name__}: ").splitlines())
    named = [word for word in re.findall(r"`(\w+)` is", text) if word in own]
    text = re.sub(r"`(\w+)`", lambda match: f"`{prefix}{match[1]}`" if match[1] in own else match[0], text)
    return Problem(text=text, key=f"{prefix}{named[0]}" if named else prefix.rstrip("."))
