"""Limits of how often something may be done, by account or address, in bounded memory."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """A bucket of permits for each key, which fills at a steady pace ("token bucket").

    Args:
        permits: permits of a full bucket, at least 1: what may be done at once.
        seconds: time in which an empty bucket fills, > 0.
        keys: buckets kept; the one that was not used for longest is forgotten, at least 1.
        clock: seconds of a monotonic clock.
    """

    def __init__(
        self, permits: int, seconds: float, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._permits, self._pace, self._keys, self._clock = permits, permits / seconds, keys, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, key: str) -> float:
        """Seconds until a key has a permit, 0 when it has one; takes none."""
        with self._lock:
            return max(0.0, 1 - self._filled(key)) / self._pace

    def take(self, key: str) -> float:
        """Take a permit.

        Returns:
            0.0 when there was one, else the seconds until there is one; then none is taken.
        """
        with self._lock:
            level = self._filled(key)
            if level < 1 - 1e-9:  # rounding
                return (1 - level) / self._pace
            self._buckets[key] = (level - 1, self._clock())
            self._buckets.move_to_end(key)
            while len(self._buckets) > self._keys:
                self._buckets.popitem(last=False)
            return 0.0

    def _filled(self, key: str) -> float:
        level, since = self._buckets.get(key, (float(self._permits), 0.0))
        return min(float(self._permits), level + (self._clock() - since) * self._pace)


def address_key(address: str | None) -> str:
    """Key of a client by its address: IPv4 as it is, IPv6 by its /64, which one subscriber holds whole.

    Args:
        address: as the connection has it; None where it has none, e.g. a socket of the file system.
    """
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "local"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
