"""Answers that are slow to make, kept for a moment."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


@dataclass
class _Kept(Generic[_Value]):
    """One answer: who makes it holds the lock, the others wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: float | None = None
    value: list[_Value] = field(default_factory=list)


class Recent(Generic[_Value]):
    """Values by key, each made once and then kept; many who ask at the same time wait for one maker.

    Args:
        seconds: for which a value is kept, from the start of its making.
        limit: values kept.
        clock: seconds of a monotonic clock.
    """

    def __init__(self, seconds: float, limit: int = 200, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._limit, self._clock = seconds, limit, clock
        self._kept: OrderedDict[Hashable, _Kept[_Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """The value of a key; an error of `make` is passed on and nothing is kept."""
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        with kept.lock:
            now = self._clock()
            if kept.made is None or now - kept.made >= self._seconds:
                kept.value, kept.made = [make()], now
            return kept.value[0]

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._kept.clear()
