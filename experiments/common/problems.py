"""User errors: every problem of one command as data, and its wording.

A problem prints as one `error:` line with the key at fault, its value and what is allowed, and one `hint:` line.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.common.plain_text import visible

SEE_HELP = "--help lists ablations, scales and keys"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: `text` and `hint` for people, `key`, `value` and `allowed` for programs."""

    text: str
    hint: str = SEE_HELP
    key: str = ""
    value: Any = None
    allowed: str = ""

    def __str__(self) -> str:
        return f"error: {visible(self.text)}\nhint: {visible(self.hint)}"


class UserError(Exception):
    """A wrong request, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type["UserError"], tuple[tuple[Problem, ...]]]:
        return UserError, (self.problems,)  # so that a worker can send it to its parent


def refuse(problems: Sequence[Problem]) -> None:
    """Raise if there are problems.

    Raises:
        UserError: there is at least one.
    """
    if problems:
        raise UserError(problems)


def wrong_value(key: str, value: Any, allowed: str | Sequence[str], hint: str | None = None) -> Problem:
    """The problem of a value that is not allowed; if `allowed` is a list of choices, the hint is the nearest one."""
    if not isinstance(allowed, str):
        hint = hint or did_you_mean(value, allowed)
        allowed = ", ".join(allowed)
    return Problem(
        text=f"`{key}` is `{show(value)}`; allowed: {allowed}",
        hint=hint or SEE_HELP,
        key=key,
        value=show(value),
        allowed=allowed,
    )


def did_you_mean(value: Any, choices: Sequence[str]) -> str | None:
    """A hint with the choice nearest to a value, or to the first wrong item of a list; None if none is near."""
    if isinstance(value, list | tuple):
        value = next((item for item in value if item not in choices), "")
    near = nearest(show(value), choices)
    return None if near is None else f"did you mean `{near}`?"


def nearest(value: str, choices: Sequence[str]) -> str | None:
    """The choice nearest to a value, by distance if all are numbers, else by spelling; None if none is near."""
    try:
        return min(choices, key=lambda choice: abs(float(choice) - float(value)), default=None)
    except ValueError:
        folded = {choice.lower(): choice for choice in choices}
        found = difflib.get_close_matches(value.lower(), folded, n=1, cutoff=0.6)
        return folded[found[0]] if found else None


def show(value: Any) -> str:
    """A value on one line, as it would be typed in a command."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(show(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{show(key)}: {show(item)}' for key, item in value.items())}}}"
    return visible(value)
