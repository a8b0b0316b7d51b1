"""Splits of labelled series. No place is on both sides of a split, but in the protocol temporal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.crop_types.heads import spatial_folds
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.transfer.crop_types.rows import CropTypeRows
from yieldcast.transfer.splits import FOLDS, Ints, Split, sharing

Counted = Literal["class", "all"]
TESTED_PARTS = 3  # of the places of a domain one third is tested with few labels, as `splits.TESTED_SHARE`
_HINT = "Choose the classes with --classes, another --hold-out, or merge classes when the run is trained."


@dataclass(frozen=True)
class FewLabels:
    """How local labels are drawn.

    Args:
        ks: numbers of labels, 0 or more.
        draws: of each number above 0.
        counted: k labels of each class ("class"), or k in all ("all", as Chang et al., Table 3).
        seed: of the draws.
    """

    ks: tuple[int, ...]
    draws: int
    counted: Counted
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.ks, default=-1) < 0 or self.draws < 1:
            raise ConfigError(
                f"expected numbers of labels of 0 or more and a draw or more, received {list(self.ks)} and "
                f"{self.draws}",
                "For example --k 0,10,100 --draws 5.",
            )


def place_folds(rows: CropTypeRows, seed: int) -> list[Split]:
    """Every row tested once, trained on the other folds; folds are of whole places with all classes.

    Args:
        rows: of the study.
        seed: of the folds.

    Raises:
        SchemaError: one place only.
    """
    fold = spatial_folds(rows.truth, rows.location, FOLDS, seed)
    return [
        Split(str(k + 1), np.flatnonzero(fold != k), np.flatnonzero(fold == k), _none())
        for k in np.unique(fold)
    ]


def few_label_splits(
    rows: CropTypeRows, domain: NDArray[np.str_], outside: NDArray[np.str_], few: FewLabels
) -> list[Split]:
    """Splits with k local labels beside those from outside the domain (Chang et al., Section 4.3).

    A third of the places of a domain is tested, the same for every k and draw; labels are drawn from its
    other places. Draws are nested: the first 10 labels of a class are among its first 100. A class with fewer
    than k gives all that it has; a domain in which no class has k (or, counted in all, with fewer)
    gives none.

    Args:
        rows: of the study.
        domain: (row,) of `rows.held_out`.
        outside: (row,) of `rows.sets_of`: what is left out with a domain.
        few: numbers and draws.

    Raises:
        SchemaError: no domain has places to test and to draw from.
    """
    found = []
    for number, name in enumerate(np.unique(domain)):
        mine = np.flatnonzero(domain == name)
        if len(np.unique(rows.location[mine])) < TESTED_PARTS:
            continue
        part = spatial_folds(rows.truth[mine], rows.location[mine], TESTED_PARTS, few.seed)
        test, pool = mine[part == 0], mine[part != 0]
        away = outside != outside[mine[0]]
        train = np.flatnonzero(away & ~sharing(rows.location[:, None], ~away))
        rng = np.random.default_rng([few.seed, number])
        orders = [rng.permutation(pool) for _ in range(few.draws)]
        for k in sorted(set(few.ks)):
            if k == 0 and train.size:
                found.append(Split(str(name), train, test, _none(), 0))
            elif k and k <= _most(rows, pool, few.counted):
                found += [
                    Split(str(name), train, test, _first(rows, order, k, few.counted), k, draw)
                    for draw, order in enumerate(orders, 1)
                ]
    if not found:
        raise SchemaError(
            f"expected a domain with {TESTED_PARTS} places or more and {min(k for k in few.ks if k)} labels, "
            f"received none of {len(np.unique(domain))}",
            "Choose smaller --k, or larger domains with --hold-out.",
        )
    return found


def _most(rows: CropTypeRows, pool: Ints, counted: Counted) -> int:
    return int(np.bincount(rows.truth[pool]).max()) if counted == "class" else len(pool)


def _first(rows: CropTypeRows, order: Ints, k: int, counted: Counted) -> Ints:
    if counted == "all":
        return np.sort(order[:k])
    of_class = [order[rows.truth[order] == c][:k] for c in range(len(rows.classes))]
    return np.sort(np.concatenate(of_class))


def check_classes(rows: CropTypeRows, splits: Sequence[Split], what: str) -> None:
    """Refuse splits that test a class on which they do not train.

    Args:
        rows: of the study.
        splits: to check; those with local labels have all classes of their domain.
        what: of the splits, for errors.

    Raises:
        SchemaError: a class is missing in the training of a split.
    """
    lost: dict[int, str] = {}
    for split in splits:
        for c in np.setdiff1d(rows.truth[split.test], rows.truth[split.train]).tolist():
            lost.setdefault(c, split.domain)
    if lost:
        kept = [name for c, name in enumerate(rows.classes) if c not in lost]
        text = "; ".join(f"{rows.classes[c]} (not trained for {name})" for c, name in sorted(lost.items()))
        hint = f"For example --classes {','.join(kept)}. " if len(kept) > 1 else ""
        raise SchemaError(
            f"{what}: expected each tested class among those trained on, received {text}", hint + _HINT
        )


def _none() -> Ints:
    return np.empty(0, dtype=np.intp)
