"""Large imports without the garbage collector, which would take a fifth of their time and find nothing to free."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 50_000  # objects; torch and transformers make 600,000


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected within, nor is what was imported looked through later, if it was much: it stays for good.

    Workers that are forked afterwards go on sharing its memory, which a look at it would copy.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > LARGE:
            gc.freeze()
        if collecting:
            gc.enable()
