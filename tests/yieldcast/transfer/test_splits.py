"""Laws of splits: disjoint, keys never on both sides, k exact, the same draws for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.transfer import splits


@st.composite
def labelled(draw):
    """Domains, blocks and keys of up to 120 rows: a block lies in one domain or in several."""
    count = draw(st.integers(20, 120))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    domain = rng.choice(["A", "B", "C"], count)
    domain[:2] = ["A", "B"]
    block = rng.integers(0, draw(st.integers(4, 30)), count)
    series = block * 10 + rng.integers(0, 3, count)
    return domain, np.column_stack([block, series]).astype(np.int64), rng.random(count) < 0.8


def attempt(make):
    try:
        return make()
    except SchemaError:
        return []


def shares_nothing(split, keys):
    held = np.concatenate([split.train, split.local])
    return all(not np.isin(column[split.test], column[held]).any() for column in keys.T)


@given(labelled())
def test_no_key_of_a_tested_row_is_trained_on(given_rows):
    domain, keys, tested = given_rows
    for split in attempt(lambda: splits.geographic_splits(domain, keys, tested)):
        assert set(domain[split.test]) == {split.domain}
        assert split.domain not in domain[split.train]
        assert tested[split.test].all()
        assert shares_nothing(split, keys)
        # nothing else is left out: every other row outside the domain trains
        left = np.setdiff1d(np.flatnonzero(domain != split.domain), split.train)
        mine = domain == split.domain
        assert all(any(np.isin(keys[row, c], keys[mine, c]) for c in (0, 1)) for row in left)


@given(labelled(), st.integers(1, 5), st.integers(1, 4))
def test_local_rows_are_k_of_the_domain_and_the_same_for_the_same_seed(given_rows, k, draws):
    domain, keys, tested = given_rows
    ks = (0, k, 3 * k)

    def make(seed):
        return attempt(lambda: splits.few_shot_splits(domain, keys[:, 0], keys, tested, ks, draws, seed))

    found = make(1)
    for split in found:
        assert len(split.local) == split.k
        assert set(domain[split.local]) <= {split.domain}
        assert set(domain[split.test]) == {split.domain}
        assert shares_nothing(split, keys)
        assert len(np.unique(split.local)) == split.k
    by = {(one.domain, one.k, one.draw): one for one in found}
    for (name, size, draw), one in by.items():
        assert np.array_equal(one.test, by[name, 0, 0].test)  # the same rows for every k
        if size == 3 * k:
            assert np.isin(by[name, k, draw].local, one.local).all()  # nested
    again = make(1)
    assert all(np.array_equal(a.local, b.local) for a, b in zip(found, again, strict=True))


@given(st.integers(5, 60), st.integers(2, 5), st.integers(0, 99))
def test_random_folds_test_every_row_once(count, folds, seed):
    found = splits.random_splits(count, folds, seed)
    assert sorted(np.concatenate([one.test for one in found]).tolist()) == list(range(count))
    for one in found:
        assert not np.isin(one.test, one.train).any()
        assert len(one.test) + len(one.train) == count


def test_forward_years_train_on_public_years_only():
    years = np.array([2010, 2011, 2012, 2013, 2013, 2014])
    newest = {2010: 2008, 2012: 2010, 2013: 2013, 2014: 2012}
    found = splits.forward_splits(years, newest, [2014, 2013, 2012, 2010])
    assert [(one.domain, years[one.train].tolist(), years[one.test].tolist()) for one in found] == [
        ("2012", [2010], [2012]),  # 2011 was not public yet
        ("2013", [2010, 2011, 2012], [2013, 2013]),  # never the test year itself
        ("2014", [2010, 2011, 2012], [2014]),
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: splits.random_splits(4), SchemaError, "expected 5 rows"),
        (lambda: splits.forward_splits(np.array([2010, 2010]), {2010: 2008}, [2010]), SchemaError, "2010"),
        (
            lambda: splits.geographic_splits(np.array(["A"]), np.array([[1]]), np.array([True])),
            SchemaError,
            "two domains",
        ),
        (
            lambda: splits.geographic_splits(
                np.array(["A", "B"]), np.array([[1], [1]]), np.array([True, True])
            ),
            SchemaError,
            "share blocks",
        ),
        (
            lambda: splits.few_shot_splits(
                np.array(["A", "B"]), np.array([1, 2]), np.array([[1], [2]]), np.ones(2, bool), [0, -1], 1
            ),
            ConfigError,
            "0 or more",
        ),
        (
            lambda: splits.few_shot_splits(
                np.array(["A", "B"]), np.array([1, 2]), np.array([[1], [2]]), np.ones(2, bool), [0, 1], 1
            ),
            SchemaError,
            "block to test",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make()
    assert caught.value.exit_code == (5 if error is SchemaError else 2)
    assert caught.value.hint
