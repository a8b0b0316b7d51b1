"""Tables for a terminal: scores of a run, forecasts, skill by lead time."""

from __future__ import annotations

import io
import re

import pytest
from factories import printed, synthetic_evaluation, synthetic_forecast, synthetic_skill
from rich.console import Console

from yieldcast.cli.views.accuracy import accuracy_view
from yieldcast.cli.views.forecast import forecast_view, skill_view, states_view
from yieldcast.cli.views.scores import evaluation_table, markdown, years_table


def row(text: str, name: str) -> list[str]:
    """The cells of the line that starts with `name`."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(name + " ")]
    return line.strip().removeprefix(name).split()


def test_table_shows_every_number_in_its_section():
    text = printed(evaluation_table(synthetic_evaluation(), synthetic=False))
    assert row(text, "dual_path, mean of 30 seeds") == ["0.445", "14.6", "615", "20"]
    # members 0.30 .. 0.59 in steps of 0.01: sd 0.01 sqrt(30 * 31 / 12) = 0.0880; MAPE ten times as much
    assert row(text, "sd between seeds") == ["±", "0.088", "±", "0.9"]
    assert row(text, "best seed") == ["0.590", "13.1"]
    assert row(text, "ensemble_mean") == ["0.450", "14.9", "600", "19"]
    assert row(text, "last_year") == ["0.635", "9.6*", "450", "-60", "104"]
    assert row(text, "boosted_history") == ["0.640*", "11.1", "423*", "30", "0"]
    # no correlation where the line is constant; the smallest bias counts without its sign
    assert row(text, "boosted_history_public") == ["-", "12.0", "521", "8*", "0"]
    order = [text.index(f"\n {name}") for name in ("Network", "Weather, soil", "Hindsight", "Public")]
    assert order == sorted(order)
    assert order[1] < text.index("ridge  ") < order[2] < text.index("last_year ") < order[3]
    assert order[3] < text.index("last_public ")


def test_the_table_explains_its_sections():
    view = evaluation_table(synthetic_evaluation(), synthetic=False, notes=["12 rows [left] out"])
    text = " ".join(printed(view).split())
    assert "Y-1, whether it was public on the date of the forecast or not" in text
    assert "Public baselines use only yields and weather that were public on the date of the forecast" in text
    assert "the value of its state or of the country is used instead" in text
    assert "12 rows [left] out" in text  # brackets are not read as markup
    assert "soybean 2018, trained on 2011-2017 (2315 rows)" in text
    assert "synthetic" not in text


def test_year_by_year_has_a_column_per_year():
    years = {2017: synthetic_evaluation(), 2018: synthetic_evaluation(scale=2.0)}
    text = printed(years_table(years, synthetic=False))
    assert row(text, "last_year") == ["450", "(0.64)", "900", "(0.64)"]
    assert row(text, "boosted_history_public") == ["521", "(-)", "1042", "(-)"]
    assert "2017" in text
    assert "synthetic" not in text
    assert "synthetic" in printed(years_table({2017: synthetic_evaluation()}, synthetic=True))


def test_synthetic_scores_are_called_synthetic_everywhere():
    both = synthetic_evaluation()
    assert "(synthetic data, 2315 rows)" in printed(evaluation_table(both, synthetic=True))
    assert "synthetic data" in markdown(both, synthetic=True)
    assert "synthetic" not in markdown(both)


@pytest.mark.parametrize("scale", [1.0, 40.0, 300.0])
def test_eighty_columns_cut_no_number(scale):
    for seeds in (1, 30, 999):
        got = synthetic_evaluation(seeds, "sugarcane", scale)
        narrow, wide = (printed(evaluation_table(got, synthetic=True), width) for width in (80, 300))
        assert max(map(len, narrow.splitlines())) <= 80
        assert "…" not in narrow
        numbers = [re.findall(r"-?\d+\.?\d*\*?", text) for text in (narrow, wide)]
        assert numbers[0] == numbers[1]


def test_one_seed_has_no_spread_rows():
    text = printed(evaluation_table(synthetic_evaluation(1), synthetic=False))
    assert row(text, "dual_path, mean of 1 seed") == ["0.300", "16.0", "615", "20"]
    assert "sd between" not in text


def test_best_is_green():
    screen = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
    screen.print(evaluation_table(synthetic_evaluation(), synthetic=False))
    green = re.findall(r"\x1b\[1;32m *(\S+)\x1b", screen.file.getvalue())
    assert green == ["9.6*", "0.640*", "423*", "8*"]


def test_markdown_is_one_regular_table():
    lines = [line for line in markdown(synthetic_evaluation()).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {8}
    assert "| last_year | hindsight | 0.635 | **9.6** | 450 | -60 | 104 |" in lines
    assert "| boosted_history | hindsight | **0.640** | 11.1 | **423** | 30 | 0 |" in lines
    assert "| dual_path, mean of 30 seeds | none | 0.445 | 14.6 | 615 | 20 |  |" in lines
    assert len(lines) == 2 + 4 + 5


def line(text: str, start: str) -> list[str]:
    """The cells of the first line that begins with a word."""
    return next(s.split() for s in text.splitlines() if s.split()[:1] == [start])


def test_skill_by_hand():
    text = printed(skill_view(synthetic_skill(), synthetic=True))
    rmse, crps, coverage = re.split(r"soybean, harvest years 2014-2015, synthetic data: ", text)[1:]
    # models in the order of `pool_by_lead`: the forecast, then by name
    assert line(rmse, "6") == ["6", "560", "570", "580", "540*", "550", "560"]
    assert line(rmse, "0") == ["0", "500*", "570", "580", "540", "550", "560"]
    # 560 against 540, 530 against 540, 500 against 540: ahead from three months on
    assert "RMSE: the forecast beats the best baseline at all leads up to 3 months" in " ".join(rmse.split())
    assert line(crps, "0")[1] == "275*"
    # by CRPS against climatology alone, the only baseline with intervals: 308 against 319 six months ahead
    said = " ".join(crps.split())
    assert "CRPS: the forecast beats the best baseline that has intervals at all leads up to 6 months" in said
    assert line(coverage, "3") == ["3", "90", "%", "85", "%", "(2015)", "90", "%", "85", "%", "(2015)"]
    assert "lead: months before the end of harvest" in coverage
    assert "synthetic" not in printed(skill_view(synthetic_skill(), synthetic=False))


def test_a_forecast_that_does_not_win_says_so():
    worse = [
        {**r, "rmse_kg_ha": 9 * r["rmse_kg_ha"]} if r["model"] == "forecast" else r for r in synthetic_skill()
    ]
    said = " ".join(printed(skill_view(worse, False)).split())
    assert "does not beat the best baseline at the shortest lead." in said
    late = [
        {**r, "rmse_kg_ha": 9000.0} if (r["model"], r["lead_months"]) == ("forecast", 0) else r
        for r in synthetic_skill()
    ]
    assert "at the shortest lead. It does at 3 months." in " ".join(printed(skill_view(late, False)).split())


@pytest.mark.parametrize("scale", [1.0, 40.0, 150.0])
@pytest.mark.parametrize("width", [80, 120])
def test_no_number_and_no_name_is_cut(scale, width):
    leads = tuple(range(-1, 13))
    rows = synthetic_skill(leads, tuple(range(2010, 2019)), scale)
    states = synthetic_skill(leads, (2017, 2018), scale, states=("MT", "PR", "RS"))
    narrow, wide = (
        printed(skill_view(rows, True), w) + printed(states_view(states, True), w) for w in (width, 400)
    )
    assert max(map(len, narrow.splitlines())) <= width
    assert "…" not in narrow
    assert re.findall(r"-?\d+\*?", narrow) == re.findall(r"-?\d+\*?", wide)
    # a row per lead in each of three tables, none of them broken in two; rows are indented, sentences are not
    rows_shown = [s for s in narrow.splitlines() if s.startswith("  ")]
    for lead in leads:
        assert len([s for s in rows_shown if s.split()[:1] == [str(lead)]]) == 3


def test_a_model_that_was_not_scored_at_a_lead_is_a_dash():
    rows = [r for r in synthetic_skill() if (r["model"], r["lead_months"]) != ("climatology", 6)]
    text = printed(skill_view(rows, False))
    assert line(text, "6") == ["6", "560", "570", "-", "540*", "550", "560"]
    lines = [r for r in synthetic_skill() if r["model"] != "climatology"]
    assert "climatology" not in printed(skill_view(lines, False))


def test_states_by_hand():
    text = printed(states_view(synthetic_skill(states=("MT", "RS")), synthetic=True))
    # 100 rows in each of two years; forecast and best baseline at 6 and at 0 months; better up to 3 months
    assert line(text, "MT") == ["MT", "200", "560", "/", "540", "500", "/", "540", "3"]
    assert "by state, synthetic data" in text


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_a_forecast_fits_the_screen(lang):
    made = synthetic_forecast()
    text = printed(forecast_view(made, lang))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    thousands = {"en": ",", "pt": "."}[lang]
    low, median, high = (
        f"{made['aggregate_yield_kg_ha'].values[1, i]:,.0f}".replace(",", thousands) for i in (0, 3, 6)
    )
    cells = line(text, "MT")
    assert cells[1:3] == [median, f"{low}–{high}"]
    assert cells[-1] == f"{100 * made['aggregate_observed_share'].values[1]:.0f}"


# --- accuracy ---------------------------------------------------------------------------------------------


def accuracy_rows(dates, models=("forecast", "level_trend")):
    """Rows of one harvest year in round numbers."""
    return [
        {
            "crop": "soybean", "level": level, "protocol": "leave_year_out", "as_of": day,
            "harvest_year": 2015, "model": model, "n": 10, "rmse": 12_345.0, "rmse_area_weighted": None,
            "bias": 1.0, "below_median": 0.5, "coverage_90": 0.9, "width_90": 20_000.0, "crps": 1.0,
        }
        for level in ("municipality", "state", "country") for day in dates for model in models
    ]  # fmt: skip


def test_many_dates_are_continued_below_on_80_columns():
    dates = [f"2014-{month:02d}-15" for month in range(9, 13)] + [
        f"2015-{month:02d}-15" for month in range(1, 8)
    ]
    text = printed(accuracy_view(accuracy_rows(dates), synthetic=True))
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    assert (
        "soybean, leave-year-out (later years teach it too), municipalities, RMSE kg/ha, 2015 (synthe" in said
    )
    assert "model 09-15 10-15 11-15 12-15 01-15 02-15 03-15" in said
    assert "model 04-15 05-15 06-15 07-15" in said
    assert said.count("forecast 12345 12345 12345 12345 ") == 4  # two levels of RMSE, seven and four dates
    assert "level_trend - - - -" in said  # no area was known
    assert "synthetic" not in printed(accuracy_view(accuracy_rows(dates), synthetic=False))


def test_a_forecast_is_compared_with_its_own_line():
    rows = synthetic_skill()
    assert "level_trend" not in printed(skill_view(rows, False))
    line = [{**r, "model": "level_trend", "rmse_kg_ha": 545.0} for r in rows if r["model"] == "forecast"]
    said = " ".join(printed(skill_view([*rows, *line], False)).split())
    # 500 + 10 a month of lead: 560, 530 and 500
    assert "RMSE: the forecast is worse than its own level_trend at 6 months (at most 2.8 %)." in said
    line = [{**r, "rmse_kg_ha": 560.0} for r in line]
    said = " ".join(printed(skill_view([*rows, *line], False)).split())
    assert "RMSE: the forecast is nowhere worse than its own level_trend (3 leads)." in said


def test_scores_of_leave_year_out_are_labelled():
    rows = [{**row, "protocol": "leave_year_out"} for row in synthetic_skill()]
    assert "soybean, harvest years 2014-2015, leave-year-out: RMSE" in printed(skill_view(rows, False), 200)
    states = [{**row, "protocol": "leave_year_out"} for row in synthetic_skill(states=("MT",))]
    assert "by state, leave-year-out: RMSE" in printed(states_view(states, synthetic=False), 200)
