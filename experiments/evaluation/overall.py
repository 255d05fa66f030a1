"""The Overall column: the mean of the scores that count, each divided by its ceiling.

The paper's ceilings are the state of the art of its time. Every scale declares its own, so levels of Overall can be
compared within one scale only.
"""

import math
from collections.abc import Mapping


def overall(scores: Mapping[str, float], ceilings: Mapping[str, float]) -> float:
    """`100 * mean(score / ceiling)`; scores and ceilings are in points, under the same metric names.

    Raises:
        ValueError: a metric is missing or unknown, or a ceiling is not positive; all are named.
    """
    problems = [f"`{metric}` has no score" for metric in ceilings if metric not in scores]
    problems += [f"`{metric}` has no ceiling" for metric in scores if metric not in ceilings]
    problems += [
        f"the ceiling of `{metric}` is {ceiling}, not positive"
        for metric, ceiling in ceilings.items()
        if not ceiling > 0
    ]
    if problems or not ceilings:
        raise ValueError(f"Overall cannot be computed: {'; '.join(problems) or 'no scores'}")
    return 100 * math.fsum(scores[metric] / ceiling for metric, ceiling in ceilings.items()) / len(ceilings)
