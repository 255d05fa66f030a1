"""The command line shared by all commands: flags among overrides, one message for all errors, exit codes.

Uses Hydra's grammar and composition, not its `main`: that would create folders, redirect errors and accept paths.
"""

import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.command.executors import AskedExecutor
from experiments.common.exit_codes import FAILED, REFUSED
from experiments.common.interrupt import answered, exit_code
from experiments.common.plain_json import dumps
from experiments.common.plain_text import visible_lines
from experiments.common.problems import Problem, UserError, nearest, show, wrong_value
from experiments.common.streams import Unwritten, standing
from experiments.store import damage

if TYPE_CHECKING:
    from experiments.jobs.choice import Choice
    from experiments.spec.spec import Spec
    from experiments.spec.sweep import Sweep

LONGEST_NUMBER = 9  # digits of a count


@dataclass(frozen=True)
class Flag:
    """A flag of a command: its spellings and its allowed values (None: it takes no value; (): any)."""

    names: tuple[str, ...]
    values: tuple[str, ...] | None = None


HELP = Flag(("--help", "-h"))
JSON = Flag(("--json",))
CONFIG_DIR = Flag(("--config-dir",), ())
WORKERS = Flag(("--workers",), ())
EXECUTOR = Flag(("--executor",), ())  # any name: a module in `components=` may register it
# Flags shared by all commands that work on a table.
TABLE_FLAGS = (HELP, *(Flag((name,), ()) for name in ("--rows", "--seeds", "--baseline-seeds", "--delta")))
COUNTED = {"--workers": "without it, one job a core", "--seeds": "--seeds 3 runs seeds 0, 1 and 2"}  # hints
RUN_FLAGS = (HELP, JSON, CONFIG_DIR, EXECUTOR, WORKERS, Flag(("--multirun", "-m")), Flag(("--cfg",), ("job",)))


@dataclass(frozen=True)
class Request:
    """A resolved command line of `run`. If there is a `reply`, the command only prints it."""

    specs: "tuple[Spec, ...]" = ()  # one per job
    json: bool = False
    multirun: bool = False
    workers: int | None = None  # parallel jobs, each in its own process; None: as many as the executor has room for
    executor: "Choice | None" = None  # None: in this process for one job at a time, else in workers
    reply: str | None = None  # help, or resolved specs


@dataclass(frozen=True)
class ParsedRun:
    """A command line of `run`, parsed before any component is imported; workers can warm up meanwhile."""

    sweep: "Sweep | None"  # None if help is requested
    asked: AskedExecutor
    json: bool = False
    multirun: bool = False
    only_shows: bool = False  # print the resolved specs and run nothing
    reply: str | None = None

    def warm_up(self) -> None:
        """Let workers import what jobs need, if there are jobs to run."""
        if self.sweep is not None and not self.sweep.problems and not self.only_shows:
            self.asked.warm_up()

    def resolve(self) -> Request:
        """The specs, all of them checked, and the executor.

        Raises:
            UserError: the specs or the executor are invalid.
        """
        if self.sweep is None:
            return Request(reply=self.reply)
        specs, executor = self.asked.resolve([self.sweep])
        reply = _resolved(specs, self.json) if self.only_shows else None
        return Request(tuple(specs), self.json, self.multirun, self.asked.workers, executor, reply)


def main(command: Callable[[list[str]], int], argv: Sequence[str] | None = None) -> int:
    """Call a command with its arguments; exceptions become an exit code and a message on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    damage.forget()
    debug = any(argument.lower() in ("debug=true", "debug=1", "debug=yes", "debug=on") for argument in arguments)
    with answered(), standing():
        try:
            return _called(command, arguments, debug)
        except KeyboardInterrupt:  # a signal while the message was written
            return exit_code()


def _called(command: Callable[[list[str]], int], arguments: list[str], debug: bool) -> int:
    try:
        code = command(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        return _end(REFUSED, str(error), debug)
    except KeyboardInterrupt:
        return _end(exit_code(), "stopped", debug=False)
    except Unwritten as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return FAILED  # the reader has closed the pipe
        text = f"standard output cannot be written: {error}"
        hint = "what was run is stored: the same command prints it and runs nothing again"
        return _end(REFUSED, str(Problem(text=text, hint=hint)), debug)
    except Exception as error:
        from experiments.common import locks
        from experiments.store.disk_faults import is_of_the_disk
        from experiments.store.error import StoreError

        if isinstance(error, StoreError):
            return _end(REFUSED, str(Problem(text=error.message, hint=error.hint)), debug)
        reason = " ".join(str(error).split())
        if isinstance(error, PermissionError) or is_of_the_disk(error):
            hint = locks.HINT if isinstance(error, locks.NoLocks) else "free some space, or allow writing there"
            return _end(REFUSED, str(Problem(text=reason, hint=hint)), debug)
        return _end(
            FAILED, f"error: {type(error).__name__}: {reason}\nhint: debug=true shows where it came from", debug
        )


def read_run(argv: Sequence[str]) -> Request:
    """Parse and resolve a command line of `run`.

    Raises:
        UserError: the command line is invalid.
    """
    return parse_run(argv).resolve()


def parse_run(argv: Sequence[str]) -> ParsedRun:
    """A command line of `run`, checked as far as possible without components.

    Raises:
        UserError: the command line is invalid.
    """
    problems: list[Problem] = []
    flags, overrides = split_flags(argv, RUN_FLAGS, problems)
    folder = Path(flags["--config-dir"]) if "--config-dir" in flags else None
    if "--help" in flags:
        from experiments.command.help import run_help

        return ParsedRun(None, AskedExecutor(), reply=run_help(folder, overrides))
    from experiments.spec.sweep import parse_sweep

    multirun = "--multirun" in flags
    asked = AskedExecutor.of(flags, overrides, number("--workers", flags, problems), problems)
    sweep = parse_sweep(overrides, sweeps=multirun, config_dir=folder, problems=problems)
    return ParsedRun(sweep, asked, "--json" in flags, multirun, only_shows="--cfg" in flags)


def number(name: str, flags: Mapping[str, str], problems: list[Problem]) -> int | None:
    """The count given by a flag such as `--workers`; None if it is absent or invalid."""
    said = flags.get(name, "1")
    if not (said.isascii() and said.isdecimal() and len(said) <= LONGEST_NUMBER and int(said) > 0):
        problems.append(wrong_value(name, said, "a number from 1", COUNTED.get(name)))
        return None
    return int(said) if name in flags else None


def points(name: str, flags: Mapping[str, str], default: float, problems: list[Problem]) -> float:
    """The points given by a flag such as `--delta`."""
    said = flags.get(name, str(default))
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        problems.append(wrong_value(name, said, "points from 0, as 1.0", "within so many, a difference is harmless"))
    return value


def split_flags(
    argv: Sequence[str], flags: Sequence[Flag], problems: list[Problem]
) -> tuple[Mapping[str, str], list[str]]:
    """Flags by their first name with their values, and all other words in order; unknown flags are problems."""
    spelled = {name: flag for flag in flags for name in flag.names}
    found: dict[str, str] = {}
    others = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        flag = spelled.get(name)
        if not argument.startswith("-"):
            others.append(argument)
        elif flag is None:
            problems.append(_unknown_flag(argument, rest, spelled))
        elif flag.values is None:
            if equals:
                problems.append(wrong_value(name, value, "no value", f"did you mean `{name}`?"))
            found[flag.names[0]] = ""
        else:
            if not equals and rest and _is_value(rest[0], spelled):
                value = rest.pop(0)
            if not value or (flag.values and value not in flag.values):
                problems.append(wrong_value(name, value, flag.values or "a value, as its next word"))
            elif found.setdefault(flag.names[0], value) != value:
                problems.append(wrong_value(name, value, "one value", f"it was `{found[flag.names[0]]}` before"))
    return found, others


def _is_value(word: str, spelled: Mapping[str, Flag]) -> bool:
    """Whether a word can be the value of the flag before it: a row may be called -5."""
    return not word.startswith("--") and word.partition("=")[0] not in spelled


def _unknown_flag(argument: str, rest: list[str], spelled: Mapping[str, Flag]) -> Problem:
    """The problem of an unknown flag; the next word is removed from `rest` if it looks like its value."""
    from experiments.spec.overrides import key_names
    from experiments.spec.schema import Experiment
    from experiments.spec.yaml_files import ABLATION, SCALE

    name, equals, value = argument.partition("=")
    keys = [ABLATION, SCALE, *key_names(Experiment)]
    key, flag = nearest(name.lstrip("-"), keys), nearest(name, list(spelled))
    if flag is not None and spelled[flag].values is None and name.lstrip("-") in keys:
        flag = None  # --ablation is a key, however near to a flag without a value
    takes_value = flag is None or spelled[flag].values is not None
    if not equals and takes_value and rest and not rest[0].startswith("-") and "=" not in rest[0]:
        value = rest.pop(0)
        argument = f"{argument} {value}"
    meant = f"{key}={value}" if flag is None and key else flag
    if flag is not None and takes_value and value:
        meant = f"{flag} {value}"
    allowed = ", ".join(spelled)
    return Problem(
        text=f"unknown flag `{show(argument)}`; allowed: {allowed}",
        hint=f"did you mean `{show(meant)}`?" if meant else "a key is set without dashes, as seed=1",
        key=name,
        value=value,
        allowed=allowed,
    )


def _resolved(specs: "Sequence[Spec]", as_json: bool) -> str:
    if as_json:
        trees = [spec.tree for spec in specs]
        return dumps(trees[0] if len(trees) == 1 else {"jobs": trees}, indent=2)
    return "---\n".join(spec.yaml() for spec in specs).rstrip("\n")


def _end(code: int, message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(visible_lines(message), file=sys.stderr)
    return code
