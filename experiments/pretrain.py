"""The frozen parts of a small scale: trained from scratch (desk), or taken out of a package (smol).

python -m experiments.pretrain [scale=desk] [part=nfnet_f6]

Without a part all of them are made, one process of one thread each, as many at once as there are cores. A stopped
command goes on where it was; a part that is done is made again only if its recipe changed.
"""

import sys

from experiments.command.cli import HELP, main, split_flags
from experiments.common.exit_codes import DONE
from experiments.common.problems import Problem, did_you_mean, refuse, wrong_value

KEYS = ("scale", "part")


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
    from experiments.pretraining.side_by_side import side_by_side

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


def _unknown_key(key: str) -> Problem:
    hint = did_you_mean(key, KEYS) or "python -m experiments.pretrain --help says what they are"
    return Problem(text=f"unknown key `{key}`; allowed: {', '.join(KEYS)}", hint=hint, key=key)


if __name__ == "__main__":
    sys.exit(main(pretrain))
