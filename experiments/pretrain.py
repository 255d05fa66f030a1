"""The frozen parts of a small scale: trained from scratch (desk), or taken out of a package (smol).

python -m experiments.pretrain [scale=desk] [part=nfnet_f6]

Without a part all of them are made, one process of one thread each, as many at once as there are cores. A stopped
command goes on where it was; a part that is done is made again only if its recipe changed.
"""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

from experiments.cli import HELP, main, split_flags
from experiments.common.exit_codes import DONE, FAILED, REFUSED
from experiments.common.interrupt import How, ask
from experiments.common.problems import Problem, did_you_mean, refuse, wrong_value
from experiments.jobs.executors.local import usable_cores

KEYS = ("scale", "part")
LOOK_AGAIN_S = 0.2


def pretrain(argv: list[str]) -> int:
    """Make one part in this process, or all of them in processes of their own."""
    problems: list[Problem] = []
    flags, words = split_flags(argv, (HELP,), problems)
    if "--help" in flags:
        print(__doc__)
        return DONE
    from experiments.pretraining import smollm2
    from experiments.pretraining.parts import parts_of, scales, train_part
    from experiments.pretraining.shipped import is_made, write_part

    said = {key: value for key, _, value in (word.partition("=") for word in words)}
    problems += [_unknown_key(key) for key in said if key not in KEYS]
    scale = said.get("scale", "desk")
    if scale not in (*scales(), smollm2.SCALE):
        problems.append(wrong_value("scale", scale, [*scales(), smollm2.SCALE]))
    refuse(problems)
    if scale == smollm2.SCALE:
        folder = smollm2.folder()
        smollm2.make(folder)
        print(f"written to {folder}")
        return DONE
    parts = parts_of(scale)
    if "part" in said and said["part"] not in parts:
        refuse([wrong_value("part", said["part"], list(parts))])
    wanted = [parts[said["part"]]] if "part" in said else list(parts.values())
    missing = [part for part in wanted if not is_made(part)]
    for part in wanted:
        if part not in missing:
            print(f"{part.name}: {part.path} is made already", file=sys.stderr)
    if len(missing) > 1:
        return side_by_side([["experiments.pretrain", f"scale={scale}", f"part={part.name}"] for part in missing])
    for part in missing:
        module, quality = train_part(part)
        write_part(part, module, quality)
        print(f"{part.name}: {', '.join(f'{key} {value}' for key, value in quality.items())}, written to {part.path}")
    return DONE


def side_by_side(modules: Sequence[Sequence[str]]) -> int:
    """Run modules with their words in processes of their own, one a core; the exit code of all of them.

    Raises:
        KeyboardInterrupt: stopped; those under way were asked to stop, and have.
    """
    waiting, running, codes = deque(modules), list[subprocess.Popen](), [DONE]
    try:
        while waiting or running:
            while waiting and len(running) < usable_cores():
                running.append(subprocess.Popen([sys.executable, "-m", *waiting.popleft()]))
            time.sleep(LOOK_AGAIN_S)
            codes += [child.returncode for child in running if child.poll() is not None]
            running = [child for child in running if child.returncode is None]
    except BaseException:
        _stop(running)
        raise
    return max(code if code in (DONE, REFUSED) else FAILED for code in codes)  # one that was killed has failed


def _stop(children: Sequence[subprocess.Popen]) -> None:
    """Ask them to stop and wait until they have; at the next signal tell them to stop at once."""
    how: How = "checkpoint"
    while True:
        try:
            for child in children:
                if child.poll() is None:
                    ask(child.pid, how)
            for child in children:
                child.wait()
            return
        except KeyboardInterrupt:
            how = "at once"


def _unknown_key(key: str) -> Problem:
    hint = did_you_mean(key, KEYS) or "python -m experiments.pretrain --help says what they are"
    return Problem(text=f"`{key}` is no key of this command; allowed: {', '.join(KEYS)}", hint=hint, key=key)


if __name__ == "__main__":
    sys.exit(main(pretrain))
