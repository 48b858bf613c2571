"""
Python's cyclic collector, put aside while many records are made. Imports the standard library only.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_collector"]


@contextmanager
def without_collector() -> Iterator[None]:
    """
    Keep the collector from looking for cycles: among records there are none, and looking through all of those that are
    there already, again and again, makes a VM among 50,000 a third dearer than one among 1,000 (measured).
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
