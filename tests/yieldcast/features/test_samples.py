from dataclasses import fields

import numpy as np
import pytest

from yieldcast.config import DataSettings
from yieldcast.features.source import build_samples


@pytest.fixture
def rows(small, calendar):
    return build_samples(small, calendar, "soybean", [2012], DataSettings())[0]


def test_the_fingerprint_changes_with_every_array_and_name(rows):
    whole = np.arange(len(rows))
    assert rows.take(whole).fingerprint() == rows.fingerprint()
    assert rows.take(whole[:-1]).fingerprint() != rows.fingerprint()
    for f in fields(rows):
        other = rows.take(whole)  # copies
        value = getattr(other, f.name)
        if isinstance(value, tuple):
            object.__setattr__(other, f.name, (*value[:-1], "other"))
        else:
            value[3] = {"U": "XX", "M": np.datetime64("1999-01-01")}.get(value.dtype.kind, 7)
        assert other.fingerprint() != rows.fingerprint(), f.name


def test_rows_are_taken_by_mask_or_index(rows):
    mask = rows.state == rows.state[0]
    some = rows.take(mask)
    assert len(some) == mask.sum() < len(rows)
    np.testing.assert_array_equal(some.dynamic, rows.dynamic[mask])
    assert some.static_names == rows.static_names
    assert rows.take(np.array([2, 0])).municipality.tolist() == rows.municipality[[2, 0]].tolist()


def test_flat_inputs_are_the_months_and_then_the_static_features(rows):
    flat = rows.flat()
    _, steps, variables = rows.dynamic.shape
    assert flat.shape == (len(rows), steps * variables + len(rows.static_names))
    np.testing.assert_array_equal(flat[:, variables : 2 * variables], rows.dynamic[:, 1])
    np.testing.assert_array_equal(flat[:, steps * variables :], rows.static)
