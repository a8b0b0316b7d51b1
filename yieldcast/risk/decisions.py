"""What follows from P(low) and the costs of the two errors: flags and expected costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """Costs of the two errors of a warning, per place, in any one unit: only their ratio moves the flags.

    The flag at the cost-optimal threshold is the decision of the least expected cost, the cost-loss model of
    Murphy 1977 (Monthly Weather Review 105:803-816).

    Args:
        miss: cost of a low yield that was not flagged.
        alarm: cost of a flag on a place whose yield is not low.

    Raises:
        ConfigError: a cost that is not a number above 0.
    """

    miss: float = 1.0
    alarm: float = 1.0

    def __post_init__(self) -> None:
        for name, cost in (("miss", self.miss), ("false alarm", self.alarm)):
            if not (math.isfinite(cost) and cost > 0):
                raise ConfigError(
                    f"expected a cost of a {name} above 0, received {cost:g}",
                    "Give both costs as numbers above 0 in the same unit, for example --cost-miss 5 "
                    "--cost-alarm 1.",
                )

    @property
    def threshold(self) -> float:
        """Least P(low) at which a flag costs no more than none: alarm / (alarm + miss), between 0 and 1."""
        return self.alarm / (self.alarm + self.miss)

    def flags(self, p_low: Floats) -> NDArray[np.bool_]:
        """(row,) whether each place is flagged; never where `p_low` (0 to 1) is NaN."""
        return p_low >= self.threshold

    def expected(self, p_low: Floats, flagged: NDArray[np.bool_] | None = None) -> Floats:
        """Expected cost of each place, in the unit of the costs.

        Args:
            p_low: (row,) 0 to 1; NaN gives NaN.
            flagged: (row,) decisions; None takes `flags`.
        """
        taken = self.flags(p_low) if flagged is None else flagged
        return np.where(taken, (1.0 - p_low) * self.alarm, p_low * self.miss)


EQUAL_COSTS = Costs()


def costs_of(miss: float | None, alarm: float | None) -> Costs | None:
    """Costs from options of which both or none are given; None for none.

    Raises:
        ConfigError: only one is given, or one is not above 0.
    """
    if miss is None and alarm is None:
        return None
    if miss is None or alarm is None:
        given, lacking = ("--cost-miss", "--cost-alarm") if alarm is None else ("--cost-alarm", "--cost-miss")
        raise ConfigError(
            f"expected both costs or none, received {given} only",
            f"Add {lacking}: the flag depends on the ratio of the two.",
        )
    return Costs(miss, alarm)
