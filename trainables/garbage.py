"""Pauses Python's garbage collector while many objects are made that all stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def paused_collection() -> Iterator[None]:
    """Look for no reference cycles in the block; what nothing refers to is freed as ever.

    Thousands of records are millions of objects, and the collector looks at all of them again and
    again while they are made, which takes as long as making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def freeze() -> None:
    """Once per process: never look again at what exists now, such as all imported modules.

    Called before the first trial, so that a collection after each takes a fraction of the time.
    """
    gc.collect()
    gc.freeze()
