"""`Meter`: counts the compute of a job while it runs, reports progress, and stops it at its budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_PAUSE_SECONDS = 1.0  # between two reports


class BudgetSpentError(Exception):
    """The next step would go beyond the budget."""


@dataclass
class Meter:
    """Compute of a job so far.

    Args:
        budget: operations that may be used.
        report: gets progress as a dictionary.
    """

    budget: int
    report: Callable[[dict[str, Any]], None]
    used: int = 0
    progress: dict[str, Any] = field(default_factory=dict)
    _reported: float = 0.0

    def spend(self, flop: int) -> None:
        """Count operations before they are done.

        Raises:
            BudgetSpentError: they would go beyond the budget; they are not counted.
        """
        if self.used + flop > self.budget:
            raise BudgetSpentError
        self.used += flop

    def say(self, now: bool = False, **progress: Any) -> None:
        """Note progress, and report it with the compute once a second at most, or now.

        Args:
            now: report even so.
            progress: numbers and short words; what is not finite is dropped.
        """
        self.progress |= progress
        if not now and time.monotonic() - self._reported < _PAUSE_SECONDS:
            return
        self._reported = time.monotonic()
        finite = {
            name: value
            for name, value in self.progress.items()
            if not isinstance(value, float) or math.isfinite(value)
        }
        self.report({"progress": finite, "flop": self.used})
