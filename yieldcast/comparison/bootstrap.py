"""Intervals of the difference between two models from whole blocks: harvest years, or regions.

Rows of one year share their weather, so they are no independent witnesses: a bootstrap of rows would find
almost any difference certain. Here whole blocks are drawn (Efron & Tibshirani 1993, An Introduction to the
Bootstrap, Chapters 8 and 13). From few blocks the percentile interval is too narrow, by a factor of about
sqrt((n - 1) / n) and by the missing tails of Student's t: with five years a nominal 95 % covers about 85 %.
So below `FEW_BLOCKS` the interval that counts is that of the jackknife over blocks with Student's t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from yieldcast.comparison.paired import BlockSums
from yieldcast.evaluation.metrics import Floats

FEW_BLOCKS = 10  # below it Student's t (our choice; t and normal quantiles differ by 15 % there)
DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """The score of A minus that of B, or one score by itself, and how sure it is.

    Args:
        difference: over all rows, in the unit of the score.
        blocks: their number.
        low, high: 95 % interval that counts; None with one block.
        method: of that interval, "student_t" or "bootstrap"; "none" with one block.
        bootstrap: (low, high), the percentile interval of the block bootstrap; None with one block.
        spread: standard deviation between blocks that the jackknife finds; None with one block.
    """

    difference: float
    blocks: int
    low: float | None
    high: float | None
    method: str
    bootstrap: tuple[float, float] | None
    spread: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def block_difference(sums: BlockSums, draws: int = DRAWS, seed: int = 0) -> Difference:
    """The difference with its intervals.

    Args:
        sums: of a metric by block.
        draws: of the bootstrap.
        seed: of the draws.
    """
    return block_interval(sums.difference, len(sums.names), draws, seed)


def block_interval(
    value: Callable[[Floats], Floats], count: int, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Any number that rests on whole blocks, with its intervals.

    Args:
        value: (draw, block) how often each block counts -> (draw,) numbers.
        count: of blocks.
        draws: of the bootstrap.
        seed: of the draws.
    """
    whole = float(value(np.ones((1, count)))[0])
    if count < 2:
        return Difference(whole, count, None, None, "none", None, None)
    error = _jackknife(value, count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(value(drawn.astype(np.float64)), (tail, 1 - tail)).tolist()
    bootstrap = (float(low), float(high))
    spread = error * float(np.sqrt(count))
    if count >= FEW_BLOCKS:
        return Difference(whole, count, *bootstrap, "bootstrap", bootstrap, spread)
    half = float(stats.t.ppf(1 - tail, count - 1)) * error
    return Difference(whole, count, whole - half, whole + half, "student_t", bootstrap, spread)


def jackknife_error(sums: BlockSums) -> float:
    """Standard error of the difference by leaving out one block after the other.

    Efron & Tibshirani 1993, equation 11.5. For blocks of equal size and a mean loss it is the standard error
    of the mean of the differences by block.
    """
    return _jackknife(sums.difference, len(sums.names))


def _jackknife(value: Callable[[Floats], Floats], count: int) -> float:
    left_out = value(1.0 - np.eye(count))
    return float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))
