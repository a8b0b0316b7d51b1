"""What self-supervised training hides of a pixel series: the four strategies of Presto.

Tseng et al., arXiv 2304.14065, Section 3.2: of each series three quarters of the tokens are hidden, by a
strategy drawn for it. Whole units (groups of bands, or steps) are hidden while they fit, then single tokens
up to the number. The static token is hidden with the probability of the ratio.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from yieldcast.encoders.bands import GROUPS, LAND_COVER, NO_LAND_COVER, STATIC
from yieldcast.encoders.embedding import PixelInputs

Bools = NDArray[np.bool_]
Strategy = Literal["random", "groups", "steps", "chunk"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
RATIO = 0.75  # Tseng et al., Section 3.2
_NO_UNIT = -1


def known_tokens(inputs: PixelInputs) -> Bools:
    """(sample, group, step) True where a token is known; that of the static group stands at step 0."""
    rows, steps, _ = inputs.x.shape
    known = np.zeros((rows, len(GROUPS), steps), bool)
    for position, group in enumerate(GROUPS):
        if position == LAND_COVER:
            known[:, position] = inputs.dynamic_world != NO_LAND_COVER
        else:
            part = slice(group.columns[0], group.columns[-1] + 1)
            known[:, position] = ~inputs.mask[..., part].any(axis=-1)
    known[:, STATIC, 1:] = False
    return known


def hide(
    known: Bools, rng: np.random.Generator, ratio: float = RATIO, strategy: Strategy | None = None
) -> Bools:
    """(sample, group, step) True for the tokens to hide, of the known ones only.

    Args:
        known: see `known_tokens`.
        rng: of the draws.
        ratio: share of the known tokens of each sample to hide, 0 to 1.
        strategy: None draws one for each sample. "random": single tokens; "groups": whole groups of bands;
            "steps": whole steps; "chunk": steps that follow one another.
    """
    moving = known.copy()
    moving[:, STATIC] = False
    drawn = rng.integers(len(STRATEGIES), size=len(known))
    if strategy is not None:
        drawn[:] = STRATEGIES.index(strategy)
    unit = _units(known.shape, drawn, rng, ratio)
    wanted = np.round(ratio * moving.sum(axis=(1, 2))).astype(np.int64)
    whole, count, fits = np.zeros_like(known), np.zeros(len(known), np.int64), np.full(len(known), True)
    for number in range(int(unit.max()) + 1):
        mine = moving & (unit == number)
        more = mine.sum(axis=(1, 2))
        fits &= count + more <= wanted
        whole |= mine & fits[:, None, None]
        count += np.where(fits, more, 0)
    score = rng.random(known.shape) - whole  # whole units first, then tokens in random order
    score[~moving] = np.inf
    flat = score.reshape(len(known), -1)
    rank = flat.argsort(axis=1).argsort(axis=1)
    hidden: Bools = ((rank < wanted[:, None]) & np.isfinite(flat)).reshape(known.shape)
    hidden[:, STATIC, 0] = known[:, STATIC, 0] & (rng.random(len(known)) < ratio)
    return hidden


def _units(
    shape: tuple[int, ...], drawn: NDArray[np.int64], rng: np.random.Generator, ratio: float
) -> NDArray[np.int64]:
    """(sample, group, step) number of the unit in the order in which units are hidden; -1: none."""
    rows, groups, steps = shape
    unit = np.full(shape, _NO_UNIT, np.int64)
    by_group = rng.random((rows, groups)).argsort(axis=1)[:, :, None]
    by_step = rng.random((rows, steps)).argsort(axis=1)[:, None, :]
    long = int(ratio * steps)
    first = rng.integers(0, steps - long + 1, size=rows)[:, None]
    after = np.arange(steps)[None] - first
    chunk = np.where((after >= 0) & (after < long), after, _NO_UNIT)[:, None, :]
    for name, order in (("groups", by_group), ("steps", by_step), ("chunk", chunk)):
        chosen = drawn == STRATEGIES.index(name)
        unit[chosen] = np.broadcast_to(order, shape)[chosen]
    return unit


def without(inputs: PixelInputs, hidden: Bools) -> PixelInputs:
    """The same series with these tokens masked."""
    mask, cover = inputs.mask.copy(), inputs.dynamic_world.copy()
    for position, group in enumerate(GROUPS):
        if position == LAND_COVER:
            cover[hidden[:, position]] = NO_LAND_COVER
        else:
            part = slice(group.columns[0], group.columns[-1] + 1)
            mask[..., part] |= hidden[:, position, :, None]
    return replace(inputs, mask=mask, dynamic_world=cover)
