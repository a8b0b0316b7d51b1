"""Which rows train and which are tested: pure functions from labels of rows to positions of rows.

No row is trained on and tested in the same split. In the spatial splits no key of a tested place (its block,
its weather series) is a key of a trained place: neighbours with the same weather would tell the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError

Ints = NDArray[np.intp]
Labels = NDArray[Any]
TESTED_SHARE = 1 / 3  # of the blocks of a domain, with few local rows (our choice: most regions keep 900)
FOLDS = 5  # of random splits: each tests 20 % of the rows (Butsko et al., Section 3.4)


@dataclass(frozen=True)
class Split:
    """Positions of rows, ascending, of one fit and its test.

    Args:
        domain: what is tested: a fold, a harvest year, a state, a zone.
        train: rows to train on from outside the domain; in random splits, rows like those of the test.
        test: rows to predict.
        local: rows of the domain to train on, k of them; empty except in few-shot splits.
        k: how many local rows; None except in few-shot splits.
        draw: number of the draw of the local rows, from 1; 0 where nothing is drawn.
    """

    domain: str
    train: Ints
    test: Ints
    local: Ints
    k: int | None = None
    draw: int = 0


def random_splits(count: int, folds: int = FOLDS, seed: int = 1) -> list[Split]:
    """Every row tested once, trained on the rows of the other folds, whatever their place and year.

    Args:
        count: number of rows.
        folds: number of folds, 2 or more.
        seed: of the shuffle.

    Raises:
        SchemaError: fewer rows than folds.
    """
    if count < folds:
        raise SchemaError(
            f"expected {folds} rows or more for {folds} random folds, received {count}",
            "Import more yields, or choose more harvest years.",
        )
    fold = np.random.default_rng(seed).permutation(count) % folds
    return [
        Split(str(k + 1), np.flatnonzero(fold != k), np.flatnonzero(fold == k), _none()) for k in range(folds)
    ]


def forward_splits(
    harvest_year: NDArray[np.integer[Any]], newest: Mapping[int, int], test_years: Sequence[int]
) -> list[Split]:
    """A split per test year, trained on the years whose yields were public on the date of its forecast.

    Args:
        harvest_year: (row,).
        newest: test year -> newest harvest year that may train.
        test_years: years to test; those without any earlier public year are left out.

    Raises:
        SchemaError: no test year has a training year.
    """
    found = []
    for year in sorted(test_years):
        train = np.flatnonzero(harvest_year <= min(newest[year], year - 1))
        test = np.flatnonzero(harvest_year == year)
        if train.size and test.size:
            found.append(Split(str(year), train, test, _none()))
    if not found:
        raise SchemaError(
            f"expected a test year with an earlier public harvest year to train on, received years "
            f"{', '.join(map(str, np.unique(harvest_year)))} and test years "
            f"{', '.join(map(str, sorted(test_years)))}",
            "Import earlier years of yields and weather, or test later years.",
        )
    return found


def geographic_splits(domain: Labels, keys: NDArray[np.int64], tested: NDArray[np.bool_]) -> list[Split]:
    """A split per domain: its rows are tested, rows of the others train unless they share a key with it.

    Args:
        domain: (row,) what is held out together, for example the state.
        keys: (row, key) numbers of block and weather series; equal numbers in a column are the same.
        tested: (row,) rows that may be tested; the others only train.

    Raises:
        SchemaError: fewer than two domains, or none with both rows to test and rows to train on.
    """
    _check_domains(domain)
    found = []
    for name in np.unique(domain[tested]):
        mine = domain == name
        train = np.flatnonzero(~mine & ~sharing(keys, mine))
        if train.size:
            found.append(Split(str(name), train, np.flatnonzero(mine & tested), _none()))
    if not found:
        raise SchemaError(
            f"no domain of {len(np.unique(domain))} leaves rows to train on: all places share blocks or "
            "weather series with it",
            "Choose another --hold-out, or smaller blocks with --block-degrees.",
        )
    return found


def few_shot_splits(
    domain: Labels,
    block: NDArray[np.int64],
    keys: NDArray[np.int64],
    tested: NDArray[np.bool_],
    ks: Sequence[int],
    draws: int,
    seed: int = 1,
) -> list[Split]:
    """Splits with k rows of the domain beside those from outside (Chang et al., Section 4.3).

    A third of the blocks of a domain is tested, the same for every k and draw; local rows are drawn from
    places that share no key with a tested one. The draws of a domain are nested: the first 10 rows of a draw
    are among its first 100. A k that is larger than the number of such rows gives no split.

    Args:
        domain, keys, tested: as for `geographic_splits`.
        block: (row,) blocks of which a third is tested.
        ks: numbers of local rows, 0 or more.
        draws: draws of each k above 0.
        seed: of blocks and draws.

    Raises:
        ConfigError: a negative k, or fewer than one draw.
        SchemaError: fewer than two domains, or no domain of two blocks with rows left to draw from.
    """
    if min(ks, default=-1) < 0 or draws < 1:
        raise ConfigError(
            f"expected numbers of local rows of 0 or more and 1 draw or more, received k {list(ks)} and "
            f"{draws} draws",
            "For example --k 0,10,100,900 --draws 5.",
        )
    _check_domains(domain)
    found = []
    for number, name in enumerate(np.unique(domain[tested])):
        rng = np.random.default_rng([seed, number])
        mine = domain == name
        own = rng.permutation(np.unique(block[mine]))
        held = mine & np.isin(block, own[: max(round(TESTED_SHARE * len(own)), 1)])
        test = np.flatnonzero(held & tested)
        pool = np.flatnonzero(mine & ~held & ~sharing(keys, held))
        train = np.flatnonzero(~mine & ~sharing(keys, mine))
        if not (test.size and pool.size and train.size):
            continue
        orders = [rng.permutation(pool) for _ in range(draws)]
        for k in sorted(set(ks)):
            if k == 0:
                found.append(Split(str(name), train, test, _none(), 0))
            elif k <= len(pool):
                found += [
                    Split(str(name), train, test, np.sort(order[:k]), k, draw)
                    for draw, order in enumerate(orders, 1)
                ]
    if not found:
        raise SchemaError(
            "expected a domain with a block to test and rows in other blocks to draw from, received none of "
            f"{len(np.unique(domain))} domains",
            "Choose larger domains with --hold-out, or smaller blocks with --block-degrees.",
        )
    return found


def sharing(keys: NDArray[np.int64], tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(row,) True where a row shares a key with a tested one; see `geographic_splits`."""
    return np.asarray(np.any([np.isin(column, column[tested]) for column in keys.T], axis=0))


def _check_domains(domain: Labels) -> None:
    names = np.unique(domain)
    if len(names) < 2:
        raise SchemaError(
            f"expected two domains or more to hold out, received {len(names)} ({', '.join(map(str, names))})",
            "Choose another --hold-out: state, region, climate-zone or block.",
        )


def _none() -> Ints:
    return np.empty(0, dtype=np.intp)
