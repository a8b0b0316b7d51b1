"""Tables of accuracy rows by hand."""

from yieldcast.evaluation.accuracy import KEYS
from yieldcast.evaluation.accuracy_tables import by_date, by_year, intervals, lowest_year, tables


def row(model, year, as_of, rmse, level="municipality", bias=0.0, **more):
    found = {"crop": "soybean", "level": level, "protocol": "forward", "as_of": as_of, "harvest_year": year,
             "model": model, "n": 10, "rmse": rmse, "rmse_area_weighted": rmse / 2, "bias": bias}  # fmt: skip
    return {key: {**found, **more}.get(key) for key in KEYS}


ROWS = [
    row(
        "forecast",
        2015,
        "2014-10-15",
        500.0,
        coverage_90=0.9,
        width_90=1700.0,
        below_median=0.5,
        coverage_90_by_scatter=[1.0, 0.9, 0.8],
    ),
    row("forecast", 2015, "2015-03-15", 400.0, coverage_90=0.8, width_90=1500.0, below_median=0.4),
    row(
        "forecast",
        2016,
        "2015-10-15",
        700.0,
        coverage_90=0.7,
        width_90=1900.0,
        below_median=0.6,
        coverage_90_by_scatter=[0.8, 0.7, 0.6],
    ),
    row("forecast", 2016, "2016-03-15", 410.0, coverage_90=0.9, width_90=1500.0, below_median=0.5),
    row("level_trend", 2015, "2015-03-15", 520.0, bias=-100.0),
    row("level_trend", 2016, "2016-03-15", 600.0, bias=150.0),
]


def test_dates_are_in_the_order_of_the_season_and_years_are_averaged():
    found = by_date(ROWS, "rmse", "a title")
    assert found.title == "a title"
    assert found.heads == ("model", "10-15", "03-15")
    assert found.lines == (("forecast", "600", "405"), ("level_trend", "-", "560"))


def test_years_by_themselves():
    found = by_year(ROWS, "forecast", "")
    assert found.lines == (("2015", "500", "400"), ("2016", "700", "410"), ("mean", "600", "405"))


def test_intervals_by_year():
    found = intervals(ROWS, "")
    assert found.heads[1] == "covered, % (2015 to 2016)"
    assert found.lines == (
        ("10-15", "90 / 70", "90 / 80 / 70", "1800", "55"),
        ("03-15", "80 / 90", "-", "1500", "45"),
    )


def test_the_year_furthest_below_its_line_is_shown_alone():
    assert lowest_year(ROWS) == 2016
    assert lowest_year(ROWS[:5]) is None  # 2015 was above it
    assert lowest_year(ROWS[:4]) is None
    titles = [one.title for one in tables(ROWS)]
    assert (
        "soybean, forward, municipalities, RMSE kg/ha, 2016 alone: furthest below level and trend" in titles
    )


def test_every_title_names_the_protocol():
    left_out = [{**one, "protocol": "leave_year_out"} for one in ROWS]
    titles = [one.title for one in tables([*ROWS, *left_out])]
    assert len(titles) == 14
    assert all("soybean, forward, " in title for title in titles[:7])
    assert all("leave-year-out (later years teach it too)" in t for t in titles[7:])
