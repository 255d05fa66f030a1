"""Number of CPU cores that this process may use."""

import os


def usable_cores() -> int:
    """CPU cores available to this process, by its affinity where the system has one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
