"""A confusion matrix as it leaves: shares of each true class, rounded, with small cells hidden."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.workspace.scoring.ladder import rounded

Counts = NDArray[Any]


def hidden_classes(support: Sequence[int], rare: Sequence[int], smallest_cell: int) -> NDArray[np.bool_]:
    """Classes of which neither recall nor row leaves.

    Those with fewer rows than `smallest_cell`. Where that is one class alone, of all or of the rare ones, the
    next smallest is hidden with it: accuracy, or the mean recall of the rare classes, would give it back
    (complementary suppression; Hundepool et al. 2012, Statistical Disclosure Control, Wiley, Chapter 4).

    Args:
        support: (class,) rows of the holdout.
        rare: positions of the rare classes.
        smallest_cell: the smallest count that leaves.
    """
    rows = np.asarray(support)
    hidden = rows < smallest_cell
    for group in (np.arange(len(rows)), np.asarray(rare, dtype=np.intp)):
        if hidden[group].sum() == 1 and len(group) > 1:
            shown = group[~hidden[group]]
            hidden[shown[np.argmin(rows[shown])]] = True
    return hidden


def confusion_shares(
    confusion: Counts, hidden: NDArray[np.bool_], smallest_cell: int, step: Decimal
) -> tuple[tuple[Decimal | None, ...], ...]:
    """(class, predicted class) shares of the rows of each class; None where hidden.

    A count below `smallest_cell` is hidden, 0 too: nobody learns whether one row is confused or none. The
    recall of the class leaves, so the sum of its errors is known: where one error alone would be hidden, the
    smallest other one is hidden with it.

    Args:
        confusion: (class, predicted class) counts.
        hidden: of `hidden_classes`.
        smallest_cell: the smallest count that leaves.
        step: to which shares are rounded.
    """
    found = []
    for k, row in enumerate(np.asarray(confusion)):
        masked = row < smallest_cell
        masked[k] = False  # the recall, which leaves
        errors = np.delete(np.arange(len(row)), k)
        if masked.sum() == 1 and len(errors) > 1:
            shown = errors[~masked[errors]]
            masked[shown[np.argmin(row[shown])]] = True
        gone = masked | hidden[k]
        total = max(int(row.sum()), 1)
        found.append(
            tuple(
                None if secret else min(rounded(int(count) / total, step), Decimal(1))
                for count, secret in zip(row, gone, strict=True)
            )
        )
    return tuple(found)
