"""What a probe says: a score, the score that an honest pipeline must show, and whether it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from yieldcast.language import Sentence, message

# Names of the probes.
CONSTANT = message("constant model")
SHUFFLED_TARGET = message("shuffled target")
SHUFFLED_WEATHER = message("shuffled weather")
YEAR_LABEL = message("year label only")
PLACE_LABEL = message("place label only")
HARVEST_PROXY = message("harvest-date proxy")
ONE_FEATURE = message("one feature tells the outcome")
KNOWS_LATER = message("your table knows what came later")
SCALING = message("scaling fitted on the test year")
TEST_YIELDS = message("yields of the test year changed")
FUTURE = message("future values perturbed")
MEMBERS_SCALING = message("network: scaling of its members")
MEMBERS_FUTURE = message("network: future values perturbed")
VERDICTS = {"passed": message("passed"), "failed": message("FAILED"), "not tested": message("not tested")}

Verdict = Literal["passed", "failed", "not tested"]
Side = Literal["at most", "at least"]


@dataclass(frozen=True)
class Line:
    """One probe.

    Args:
        name: of the probe, fixed.
        score: NaN where it could not be measured.
        limit: that an honest pipeline must not cross.
        side: on which side of the limit an honest pipeline lies.
        unit: of score and limit: "skill", "kg/ha", "r", "share" or "ratio".
        detail: what was done, and what was found, for readers.
        verdict: passed, failed or not tested.
    """

    name: str
    score: float
    limit: float
    side: Side
    unit: str
    detail: Sentence
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Plain values; a number that is not known is null."""
        numbers = {key: _plain(getattr(self, key)) for key in ("score", "limit")}
        return {
            "probe": self.name, **numbers, "honest": self.side, "unit": self.unit, "detail": str(self.detail),
            "verdict": self.verdict,
        }  # fmt: skip


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def measured(name: str, score: float, side: Side, limit: float, unit: str, detail: Sentence) -> Line:
    """A line whose verdict follows from score and limit."""
    honest = score <= limit if side == "at most" else score >= limit
    return Line(name, score, limit, side, unit, detail, "passed" if honest else "failed")


def not_tested(name: str, reason: Sentence) -> Line:
    """A line of a probe that this pipeline gives nothing to test for."""
    return Line(name, math.nan, math.nan, "at most", "", reason, "not tested")
