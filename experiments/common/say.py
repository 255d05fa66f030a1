"""What a command says beside its data."""

import sys

from experiments.common.plain_text import visible_lines


def say(text: str) -> None:
    """Print on stderr, control characters made visible."""
    print(visible_lines(text), file=sys.stderr)
