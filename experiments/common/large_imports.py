"""Large imports with the garbage collector off: it takes a fifth of the import time and finds nothing to free."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 50_000  # new objects; torch and transformers make 600,000


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable garbage collection, then freeze the new objects if there are many.

    Frozen objects are never scanned again, so that workers forked later keep sharing their memory.
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
