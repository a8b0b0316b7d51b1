"""Confusion matrices that leave: shares, small cells, and what would give them back."""

from decimal import Decimal

import numpy as np

from yieldcast.workspace.scoring.confusion import confusion_shares, hidden_classes

D = Decimal
STEP = D("0.01")
NONE = np.zeros(3, dtype=bool)


def shares(counts, hidden=NONE, smallest=10):
    return confusion_shares(np.array(counts), hidden, smallest, STEP)


def test_counts_below_the_smallest_cell_are_hidden_and_zero_looks_like_one():
    one = shares([[80, 1, 0], [20, 70, 10], [0, 0, 50]])
    assert one[0] == (D("0.99"), None, None)
    assert one[1] == (D("0.20"), D("0.70"), D("0.10"))
    assert one[2] == (None, None, D("1.00"))
    assert shares([[80, 0, 1], [20, 70, 10], [0, 0, 50]]) == one


def test_a_cell_that_the_recall_would_give_back_takes_the_smallest_other_error_with_it():
    counts = np.array([[80, 3, 17, 12], [0, 9, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]])
    assert confusion_shares(counts, np.zeros(4, dtype=bool), 10, STEP)[0] == (
        D("0.71"),
        None,
        D("0.15"),
        None,
    )


def test_the_row_of_a_hidden_class_is_hidden_whole():
    assert (
        shares([[80, 20, 0], [5, 4, 0], [0, 0, 50]], np.array([False, True, True]))[1:] == ((None,) * 3,) * 2
    )


def test_a_small_class_is_never_hidden_alone():
    assert hidden_classes([500, 400, 9, 60], [], 10).tolist() == [False, False, True, True]
    assert hidden_classes([500, 400, 300, 60], [2, 3], 10).tolist() == [False] * 4
    # two small classes, of which one is rare: the mean recall of the rare ones would give it back
    assert hidden_classes([500, 5, 9, 60, 70], [2, 3, 4], 10).tolist() == [False, True, True, True, False]
