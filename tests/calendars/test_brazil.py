"""The table of Brazil against the paper, and windows worked by hand from it."""

import csv
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calendars
from calendars import brazil

SHARED = Path(__file__).parents[2] / ".." / "shared"
PAPER = SHARED / "seeds" / "cunha-silva-2020-yield-forecast.txt"
DATA = Path(calendars.__file__).with_name("data")


def months(first: str, last: str) -> list[str]:
    """All months from `first` to `last`, both included."""
    return [str(m) for m in np.arange(np.datetime64(first), np.datetime64(last) + 1)]


def paper_text() -> str:
    if not PAPER.exists():
        pytest.skip("the paper's text is not beside this checkout")
    return PAPER.read_text(encoding="utf-8")


def test_every_row_is_as_printed_in_table_6():
    """Each printed line holds two states side by side; a state is named only on its first line."""
    interval = r"\t\[(\d\d/\d\d), (\d\d/\d\d)\]"
    cell = rf"([A-Z]{{2}})?\t(\w+){interval}{interval}"
    printed: dict[tuple[str, str], tuple[str, ...]] = {}
    left = right = ""
    for line in re.findall(rf"^{cell}\t{cell}$", paper_text(), flags=re.M):
        left, right = line[0] or left, line[6] or right
        printed[line[1].lower(), left] = line[2:6]
        printed[line[7].lower(), right] = line[8:12]
    assert len(printed) == 26 * 5
    ours = {
        key: tuple(map(str, (r.planting_start, r.planting_end, r.harvest_start, r.harvest_end)))
        for key, r in brazil().rows.items()
    }
    assert ours == printed


def test_every_length_is_as_printed_in_table_2():
    printed = dict(re.findall(r"^(Corn|Cotton|Rice|Soybean|Sugarcane)\t(\d+)$", paper_text(), flags=re.M))
    assert {crop: brazil().steps(crop) for crop in brazil().crops} == {
        crop.lower(): int(n) for crop, n in printed.items()
    }


def test_regions_of_states_are_those_of_the_municipalities():
    path = SHARED / "brazil" / "municipalities.csv"
    if not path.exists():
        pytest.skip("the municipalities are not beside this checkout")
    with path.open(encoding="utf-8", newline="") as file:
        assert {row["state"]: row["region"] for row in csv.DictReader(file)} == brazil().regions


def test_the_table_is_whole():
    table = brazil()
    assert table.crops == ("corn", "cotton", "rice", "soybean", "sugarcane")
    assert len(table.rows) == 130
    assert len(table.regions) == 27
    assert set(table.regions) - {state for _, state in table.rows} == {"DF"}
    # Table 2
    assert [table.steps(crop) for crop in table.crops] == [9, 9, 8, 9, 12]


def test_odd_dates_stay_as_printed():
    # Table 6: SC soybean planting to 30/12 and AL sugarcane harvest to 30/03, where 31 is expected
    assert brazil().row("soybean", "SC").planting_end == (30, 12)
    assert brazil().row("sugarcane", "AL").harvest_end == (30, 3)
    assert brazil().row("sugarcane", "PE").harvest_end == (31, 3)


def test_the_file_is_in_canonical_form():
    written = brazil().csv().encode()
    assert written == (DATA / "brazil" / "calendar.csv").read_bytes()
    assert replace(brazil(), regions={}).fingerprint() == hashlib.sha256(written).hexdigest()


# Each: planting start and harvest start in Table 6, n in Table 2 -> window of harvest year 2018.
WINDOWS = {
    # plants Sep, harvests Jan: Sep > Jan, so planted in 2017; 9 months: Sep Oct Nov Dec Jan Feb Mar Apr May
    ("soybean", "MT"): ("2017-09", "2018-05"),
    # plants Jan, harvests Jun: Jan <= Jun, so planted in 2018; 9 months to Sep
    ("soybean", "AC"): ("2018-01", "2018-09"),
    # plants Apr, harvests Aug: Apr <= Aug, so planted in 2018; 9 months: Apr .. Dec
    ("soybean", "RR"): ("2018-04", "2018-12"),
    # plants Sep, harvests Jan (printed to Dec): Sep > Jan; 8 months: Sep Oct Nov Dec Jan Feb Mar Apr
    ("rice", "AM"): ("2017-09", "2018-04"),
    # plants Aug, harvests Dec: Aug <= Dec, so planted in 2018; 8 months: Aug Sep Oct Nov Dec Jan Feb Mar
    ("rice", "SE"): ("2018-08", "2019-03"),
    # plants Dec, harvests Mar: Dec > Mar; 8 months: Dec Jan Feb Mar Apr May Jun Jul
    ("rice", "MA"): ("2017-12", "2018-07"),
    # plants Apr, harvests Aug (to Apr): Apr <= Aug, so planted in 2018; 9 months to Dec
    ("corn", "AM"): ("2018-04", "2018-12"),
    # plants Jul, harvests Jan: Jul > Jan; 9 months: Jul Aug Sep Oct Nov Dec Jan Feb Mar
    ("corn", "RS"): ("2017-07", "2018-03"),
    # plants Jul, harvests Feb: Jul > Feb; 9 months to Mar
    ("cotton", "RR"): ("2017-07", "2018-03"),
    # plants Sep, harvests Apr: Sep > Apr; 9 months to May (the paper's prose says Oct .. Jun; Table 6 counts)
    ("cotton", "SP"): ("2017-09", "2018-05"),
    # plants Oct, harvests Sep: Oct > Sep; 12 months: Oct .. Sep
    ("sugarcane", "AL"): ("2017-10", "2018-09"),
    # plants Jan, harvests Apr: Jan <= Apr; 12 months: the calendar year
    ("sugarcane", "SP"): ("2018-01", "2018-12"),
    # DF is not in Table 6; peers GO, MS, MT of Centro-Oeste.
    # corn starts Oct (GO), Sep (MS), Oct (MT): Oct, first is GO, harvests Mar; 9 months: Oct .. Jun
    ("corn", "DF"): ("2017-10", "2018-06"),
    # cotton starts Dec (GO), Oct (MS), Nov (MT): all once, so GO's Dec, harvests Jun; 9 months: Dec .. Aug
    ("cotton", "DF"): ("2017-12", "2018-08"),
    # rice starts Oct (GO), Aug (MS), Oct (MT): Oct, first is GO, harvests Mar; 8 months: Oct .. May
    ("rice", "DF"): ("2017-10", "2018-05"),
    # soybean starts Oct (GO), Sep (MS), Sep (MT): Sep, first is MS, harvests Jan; 9 months: Sep .. May
    ("soybean", "DF"): ("2017-09", "2018-05"),
    # sugarcane starts Jan in all three, first is GO, harvests Apr: the calendar year
    ("sugarcane", "DF"): ("2018-01", "2018-12"),
}


@pytest.mark.parametrize(("crop", "state"), WINDOWS)
def test_window_worked_by_hand(crop, state):
    window = brazil().window(crop, state, 2018)
    assert window.dtype == np.dtype("datetime64[M]")
    assert [str(m) for m in window] == months(*WINDOWS[crop, state])


def test_df_copies_one_real_row_whole():
    donors = {crop: brazil().row(crop, "DF").region for crop in brazil().crops}
    assert donors == {"corn": "GO", "cotton": "GO", "rice": "GO", "soybean": "MS", "sugarcane": "GO"}
    assert brazil().row("soybean", "DF") == brazil().rows["soybean", "MS"]


def test_only_rice_in_sergipe_reaches_into_the_next_year():
    late = [key for key in brazil().rows if brazil().window(*key, 2018)[-1] > np.datetime64("2018-12")]
    assert late == [("rice", "SE")]


def test_sources_cite_the_paper_and_count_the_conflict_rightly():
    text = (DATA / "SOURCES.md").read_text(encoding="utf-8")
    assert "10.1109/LAGIRS48042.2020.9165608" in text
    # months from the first of planting to the last of harvest, against Table 2
    longer = shorter = 0
    for row in brazil().rows.values():
        first, begin, end = row.planting_start.month, row.harvest_start.month, row.harvest_end.month
        lasts = (begin - first) % 12 + (end - begin) % 12 + 1
        longer, shorter = longer + (lasts > row.months), shorter + (lasts < row.months)
    assert f"{longer} are longer and {shorter} shorter" in text
    assert f"{130 - longer - shorter} of the 130 rows" in text
