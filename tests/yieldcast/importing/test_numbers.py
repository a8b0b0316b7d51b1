"""Numbers of a column in every notation: the same values, or a refusal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.errors import SchemaError
from yieldcast.importing.numbers import CONVENTIONS, Convention, Exact, numbers


def read(*cells: str, low: float = -np.inf, high: float = np.inf) -> list[float]:
    frame = pd.DataFrame({"x": pd.Series(list(cells), dtype=object, index=range(2, 2 + len(cells)))})
    return numbers(frame, "x", "file.csv", low, high).tolist()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("2686,5", "1.215", "900"), [2686.5, 1215, 900]),
        (("2,686.5", "1,215"), [2686.5, 1215]),
        (("1.234.567", "600.000"), [1234567, 600000]),
        (("12345.678", "600.000"), [12345.678, 600]),
        (("0.600", "1.250"), [0.6, 1.25]),
        (("3 000", "2 686,5"), [3000, 2686.5]),
        (("3\u00a0000", "1\u202f234\u202f567"), [3000, 1234567]),
        (("1'234.5", "2’000"), [1234.5, 2000]),
        (("3e3", "1,5E+03"), [3000, 1500]),
        (("\u22125", "+7", ".5", "6."), [-5, 7, 0.5, 6]),
        (("2686", "#N/D", "", "1215.25"), [2686, np.nan, np.nan, 1215.25]),
        ((Exact("600.125"), Exact("1e-05")), [600.125, 1e-5]),
        ((Exact("600.125"), "1.234,5"), [600.125, 1234.5]),
    ],
)  # fmt: skip
def test_notations(cells: tuple[str, ...], values: list[float]) -> None:
    np.testing.assert_array_equal(read(*cells), values)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ("900", "600.000"),
            r"line 3, column 'x': '600.000' is 600 \(decimal point\) or 600000 \(decimal comma\)",
        ),
        (("1,215",), r"'1,215' is 1215 \(decimal point\) or 1.215 \(decimal comma\)"),
        (("1215", "1.215"), "decimal sign or thousands"),
        (("12.5", "2686,5"), r"line 3, column 'x': expected a number, received '2686,5' \(1 such cells\)"),
        (("1.234,5", "1,234.5"), "expected a number"),
        (("3 00",), "received '3 00'"),
        (("1.23.456",), "expected a number"),
        (("3000 kg", "5"), "received '3000 kg'"),
        (("1e999",), "expected a number"),
        (("-",), "expected a number"),
        (("inf",), "expected a number"),
        (("0x10",), "expected a number"),
        (("1_000",), "expected a number"),
        ((Exact("inf"),), "expected a number"),
    ],
)
def test_refused(cells: tuple[str, ...], message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        read(*cells)
    assert caught.value.hint


def test_the_range_of_a_quantity_tells_notations_apart() -> None:
    assert read("-12.540", "-15.600", low=-90, high=90) == [-12.54, -15.6]
    assert read("2.017", low=1900, high=2100) == [2017]
    with pytest.raises(SchemaError, match="decimal sign or thousands"):
        read("600.000", low=0, high=1e8)
    assert read("7000", low=0, high=100) == [7000]  # the caller refuses it


def written(value: float, digits: int, convention: Convention, group: bool) -> str:
    text = f"{abs(value):{',' if group else ''}.{digits}f}"
    text = text.replace(",", "T").replace(".", convention.decimal).replace("T", convention.thousands)
    return ("-" if value < 0 else "") + text


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 5), st.booleans()), min_size=1, max_size=6
    ),
    st.sampled_from(CONVENTIONS),
)
def test_a_column_in_one_notation_is_read_as_it_was_meant_or_refused(
    cells: list[tuple[int, int, bool]], convention: Convention
) -> None:
    meant = [number / 10**digits for number, digits, _ in cells]
    texts = [
        written(value, digits, convention, group)
        for value, (_, digits, group) in zip(meant, cells, strict=True)
    ]
    try:
        found = read(*texts)
    except SchemaError as error:
        assert "decimal sign or thousands" in str(error)  # noqa: PT017
        return
    assert found == meant


@settings(deadline=None)
@given(st.lists(st.text("0123456789.,' e-+", max_size=9), min_size=1, max_size=4))
def test_any_text_is_a_finite_number_or_refused(texts: list[str]) -> None:
    try:
        found = read(*texts)
    except SchemaError:
        return
    assert not np.isinf(found).any()
