"""Rules, laws and refusals of a calendar built in code."""

import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calendars import Calendar, CalendarError, DayMonth, Row, UnknownKeyError, brazil, read

ROOT = Path(__file__).parents[2]


def row(region: str, planting: int, harvest: int = 12, months: int = 6, crop: str = "rice") -> Row:
    days = (DayMonth(1, planting), DayMonth(28, planting), DayMonth(1, harvest), DayMonth(28, harvest))
    return Row(region, crop, *days, months)


def calendar(*rows: Row, regions: dict[str, str] | None = None) -> Calendar:
    return Calendar({(r.crop, r.region): r for r in rows}, regions or {})


any_month = st.integers(1, 12)
any_row = st.builds(row, st.just("X"), any_month, any_month, st.integers(1, 24))
any_year = st.integers(1900, 2100)


@settings(deadline=None)
@given(any_row, any_year)
def test_window_laws(one, year):
    window = calendar(one).window("rice", "X", year).astype(int)
    assert len(window) == one.months
    assert (np.diff(window) == 1).all()
    assert window[0] % 12 == one.planting_start.month - 1
    assert 1970 + window[0] // 12 in (year - 1, year)
    # the rule said another way: harvest begins in `year`, 0 to 11 months after the planting begins
    harvest = (year - 1970) * 12 + one.harvest_start.month - 1
    assert 0 <= harvest - window[0] <= 11


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(brazil().regions)), any_year), max_size=20),
       st.sampled_from(brazil().crops), st.sampled_from(["int16", "uint16", "int64"]))  # fmt: skip
def test_starts_are_the_first_months_of_windows(pairs, crop, dtype):
    years = np.array([year for _, year in pairs], dtype=dtype)
    starts = brazil().starts(crop, [state for state, _ in pairs], years)
    assert starts.dtype == np.dtype("datetime64[M]")
    assert starts.tolist() == [brazil().window(crop, *pair)[0].item() for pair in pairs]


def test_starts_takes_a_country_at_once():
    # 5,570 municipalities x 8 years, as text arrays come out of xarray (object and fixed width)
    states = np.resize(np.array(sorted(brazil().regions)), 5570 * 8)
    years = np.repeat(np.arange(2011, 2019, dtype=np.int16), 5570)
    began = time.perf_counter()
    starts = brazil().starts("soybean", states, years)
    assert time.perf_counter() - began < 1
    # states repeat in alphabetical order, AC first: plants in January of the same year (Table 6)
    assert str(starts[0]) == "2011-01"
    assert (starts == brazil().starts("soybean", states.astype(object), years)).all()


@pytest.mark.parametrize("years", [[2018], [2018.0, 2018.0], [[2018, 2018]]])
def test_starts_refuses_years_that_do_not_pair(years):
    with pytest.raises(CalendarError, match="one whole harvest year per state") as caught:
        brazil().starts("rice", ["SP", "MT"], np.array(years))
    assert caught.value.exit_code == 5


# Missing-state rule on region R; state M has no row.
REGIONS = {"A": "R", "B": "R", "C": "R", "D": "R", "M": "R", "S": "other", "T": "other", "N": ""}


@pytest.mark.parametrize(
    ("rows", "used"),
    [
        # own row first
        ([row("M", 5), row("R", 6), row("A", 7)], "M"),
        # then the region's
        ([row("R", 6), row("A", 7)], "R"),
        # Oct once, Sep twice: Sep, first of B and C
        ([row("A", 10), row("C", 9), row("B", 9)], "B"),
        # Oct twice, Sep twice: Oct, for A comes before B
        ([row("D", 10), row("C", 9), row("B", 9), row("A", 10)], "A"),
        # Sep twice (A, D), Oct twice (B, C): Sep though Oct's states lie between; A
        ([row("A", 9), row("B", 10), row("C", 10), row("D", 9)], "A"),
        # states of other regions and other crops do not count
        ([row("S", 1), row("T", 1), row("B", 8), row("A", 1, crop="corn")], "B"),
    ],
)
def test_missing_state_rule(rows, used):
    assert calendar(*rows, regions=REGIONS).row("rice", "M").region == used


def test_missing_state_without_peers_is_refused():
    table = calendar(row("S", 1), row("A", 1, crop="corn"), regions=REGIONS)
    with pytest.raises(UnknownKeyError, match=r"'rice' for 'M'.*region 'R'"):
        table.row("rice", "M")


def test_states_without_a_region_do_not_lend_to_each_other():
    table = calendar(row("S", 1), regions={"S": "", "N": ""})
    with pytest.raises(UnknownKeyError):
        table.row("rice", "N")


@pytest.mark.parametrize(
    ("crop", "state", "message", "hint"),
    [
        ("soyben", "MT", "'soyben'", "Did you mean soybean? Known: corn, cotton, rice, soybean, sugarcane."),
        ("corn", "mt", "'mt'", "Did you mean MT?"),
        ("corn", "XX", "'XX'", "Known: AC, AL,"),
        ("corn", "", "''", "Known: AC, AL,"),
    ],
)
def test_unknown_keys_are_refused_with_a_suggestion(crop, state, message, hint):
    for ask in (brazil().row, brazil().months, lambda c, s: brazil().window(c, s, 2018),
                lambda c, s: brazil().starts(c, [s], np.array([2018]))):  # fmt: skip
        with pytest.raises(UnknownKeyError, match=message) as caught:
            ask(crop, state)
        assert hint in caught.value.hint
        assert caught.value.exit_code == 2


def test_long_lists_of_known_keys_are_cut():
    table = calendar(*(row(f"P{i:03}", 1) for i in range(100)))
    with pytest.raises(UnknownKeyError) as caught:
        table.row("rice", "elsewhere")
    assert caught.value.hint.endswith("P039 and 60 more.")


def test_an_unknown_crop_is_refused_even_for_no_states():
    with pytest.raises(UnknownKeyError, match="'wheat'"):
        brazil().starts("wheat", [], np.array([], dtype=np.int16))
    with pytest.raises(UnknownKeyError, match="'wheat'"):
        brazil().steps("wheat")


def test_one_length_per_crop():
    table = calendar(row("A", 1, months=6), row("B", 1, months=7), row("A", 1, months=4, crop="corn"))
    assert table.steps("corn") == 4
    with pytest.raises(CalendarError, match=r"'rice', received 6 \(A\), 7 \(B\)") as caught:
        table.steps("rice")
    assert "with_months" in caught.value.hint
    assert table.with_months({"rice": 7}).steps("rice") == 7


def test_with_months_changes_one_crop_of_a_copy():
    changed = brazil().with_months({"rice": np.int64(5)})
    # SE rice plants in August of the harvest year: Aug Sep Oct Nov Dec
    assert str(changed.window("rice", "SE", 2018)[-1]) == "2018-12"
    assert (changed.steps("rice"), changed.steps("corn"), brazil().steps("rice")) == (5, 9, 8)
    assert type(changed.months("rice", "SE")) is int


@pytest.mark.parametrize("months", [0, 25, -1, 9.0, "9", True])
def test_impossible_months_are_refused(months):
    with pytest.raises(UnknownKeyError, match=r"1\.\.24 months for 'rice'") as caught:
        brazil().with_months({"rice": months})
    assert caught.value.exit_code == 2


def test_months_for_an_unknown_crop_are_refused():
    with pytest.raises(UnknownKeyError, match="'wheat'"):
        brazil().with_months({"wheat": 5})


@settings(deadline=None)
@given(st.lists(any_row, min_size=1, max_size=5), st.randoms())
def test_files_and_fingerprints_do_not_depend_on_order(tmp_path_factory, rows, random):
    named = [row(f"R{i}", r.planting_start.month, r.harvest_start.month, 6) for i, r in enumerate(rows)]
    mixed = random.sample(named, len(named))
    path = tmp_path_factory.mktemp("calendar") / "calendar.csv"
    path.write_text(calendar(*named).csv(), encoding="utf-8", newline="")
    assert read(path) == calendar(*mixed)
    assert read(path).fingerprint() == calendar(*mixed).fingerprint()


def test_fingerprint_tells_every_change_that_moves_a_window():
    variants = [brazil(), brazil().with_months({"rice": 7}), replace(brazil(), regions={}),
                replace(brazil(), regions={**brazil().regions, "DF": "Sul"})]  # fmt: skip
    assert len({variant.fingerprint() for variant in variants}) == 4
    assert all(len(variant.fingerprint()) == 64 for variant in variants)


@pytest.mark.parametrize(
    ("change", "column"),
    [({"region": ""}, "region"), ({"crop": " rice"}, "crop"), ({"months": 25}, "months"),
     ({"harvest_end": (31, 4)}, "harvest_end"), ({"planting_start": (1, 13)}, "planting_start")],
)  # fmt: skip
def test_rows_that_cannot_be_are_refused(change, column):
    good = {"region": "A", "crop": "rice", "planting_start": (1, 9), "planting_end": (29, 2),
            "harvest_start": (1, 3), "harvest_end": (30, 4), "months": 8}  # fmt: skip
    assert Row(**good).planting_end.day == 29
    with pytest.raises(CalendarError, match=f"column '{column}'"):
        Row(**{**good, **change})


def test_rows_under_another_key_are_refused():
    with pytest.raises(CalendarError, match="expected the key"):
        Calendar({("A", "rice"): row("A", 1)})


def test_calendars_and_errors_cross_processes():
    assert pickle.loads(pickle.dumps(brazil())) == brazil()
    error = pickle.loads(pickle.dumps(UnknownKeyError("what", "do this")))
    assert (str(error), error.hint) == ("what", "do this")


def test_import_is_light():
    # numpy, needed anyway, is imported first; the least of three runs, for other work shares the cores
    code = (
        "import sys, time, numpy; began = time.perf_counter(); import calendars;"
        "print(time.perf_counter() - began,"
        " [m for m in ('pandas', 'xarray', 'keras', 'tensorflow', 'yieldcast') if m in sys.modules])"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) for _ in range(3)]
    assert {run.split(" ", 1)[1].strip() for run in runs} == {"[]"}
    assert min(float(run.split()[0]) for run in runs) < 0.1
