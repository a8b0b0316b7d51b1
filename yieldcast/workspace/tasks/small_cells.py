"""Small counts that are not published, and those hidden with them so that a total does not give them back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def hidden_counts(counts: Sequence[int], smallest_cell: int) -> NDArray[np.bool_]:
    """Which counts of a list, whose total is known, are not published.

    Cells of 1 to `smallest_cell` - 1 are hidden. Their sum follows from the total: therefore the next
    smallest cells are hidden too until there are two hidden ones or more and their sum is at least
    `smallest_cell` (complementary suppression; Hundepool et al. 2012, Statistical Disclosure Control, Wiley,
    Chapter 4). A count of 0 says nothing of anybody; it is hidden only to protect another one.

    Args:
        counts: 0 or more.
        smallest_cell: the smallest count that is published.

    Returns:
        (cell,) True where hidden.
    """
    cells = np.asarray(counts, dtype=np.int64)
    hidden = (cells > 0) & (cells < smallest_cell)
    if not hidden.any():
        return hidden
    for k in np.argsort(cells, kind="stable"):
        if hidden.sum() >= 2 and cells[hidden].sum() >= smallest_cell:
            break
        if cells[k] > 0:
            hidden[k] = True
    if hidden.sum() < 2:  # one cell with a count: only zeros can stand beside it
        hidden[np.flatnonzero(~hidden)[:1]] = True
    return hidden


def published_counts(counts: Sequence[int], smallest_cell: int) -> list[int | None]:
    """Counts with None where `hidden_counts` hides one."""
    hidden = hidden_counts(counts, smallest_cell)
    return [None if gone else int(count) for count, gone in zip(counts, hidden, strict=True)]
