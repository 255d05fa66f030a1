"""Messages of a command, apart from its data."""

import sys

from experiments.common.plain_text import visible_lines


def say(text: str) -> None:
    """Print to stderr, with control characters made visible."""
    print(visible_lines(text), file=sys.stderr)
