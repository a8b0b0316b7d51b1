"""Backtests: nothing looks ahead, scores are kept, and the baselines are those of `evaluate_run`."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import numpy as np
import pytest

from yieldcast import config
from yieldcast.cli import app
from yieldcast.data import synthetic
from yieldcast.data.store import Store, Tables
from yieldcast.errors import ConfigError, MissingDataError, RunError
from yieldcast.evaluation.backtest import Backtest, run_backtest, runs_of, write_results
from yieldcast.evaluation.evaluate import evaluate_run
from yieldcast.evaluation.score_rows import models_of, read_rows, write_rows
from yieldcast.features import season_dates
from yieldcast.forecasting.table import QUANTILES
from yieldcast.operations.job import read_skill

KEYS = [
    "crop", "harvest_year", "lead_months", "model", "n", "r", "mape_pct", "rmse_kg_ha", "crps_kg_ha",
    "coverage90",
]  # fmt: skip
BASELINES = ["last_public", "mean_5y_public", "trend_10y_public", "boosted_history_public", "level_trend"]
MODELS = ["forecast", *BASELINES, "climatology"]
AHEAD, AFTER = dt.date(2014, 12, 15), dt.date(2015, 6, 15)  # leads of 6 and 0 months of harvest year 2015


@pytest.fixture(scope="module")
def tables():
    """Yields of 2008 to 2016: for 2015 a run can be trained on 2011 to 2013, with history of three years."""
    return synthetic.country(seed=3, municipalities=24, first_harvest_year=2008, harvest_years=9)


@pytest.fixture(scope="module")
def store(tables, tmp_path_factory):
    return Store.write(tmp_path_factory.mktemp("backtest-store"), tables, {})


def toml(settings) -> str:
    """Settings as a file."""
    lines = []
    for section, values in settings.model_dump(mode="json").items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if value not in (None, {})]
    return "\n".join(lines)


def typed(*arguments) -> tuple[int, str, str]:
    """The command line in this process on 80 columns: exit code, standard output and error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["yieldcast", *map(str, arguments)])
        patch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as caught:
            app.main()
    return caught.value.code or 0, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def command(store, forecast_settings, tmp_path_factory):
    """The backtest that all tests share, as it is typed: gives the arguments and the folder."""
    place = tmp_path_factory.mktemp("backtest")
    (place / "tiny.toml").write_text(toml(forecast_settings))
    assert config.read_settings(place / "tiny.toml") == forecast_settings
    arguments = (
        "backtest", "--store", store.path, "--crop", "Soybean", "--test-years", "2015", "--leads", "0,6",
        "--seeds", 3, "--config", place / "tiny.toml", "--out", place / "b", "--json", place / "skill.json",
    )  # fmt: skip
    return arguments, place


@pytest.fixture(scope="module")
def said(command):
    """What the command prints when nothing is there yet."""
    return typed(*command[0])


@pytest.fixture(scope="module")
def done(said, command, store, forecast_settings):
    """The same backtest in Python and what it found; treat its folder as read-only."""
    assert said[::2] == (0, "")
    test = Backtest(store, "soybean", (2015,), command[1] / "b", forecast_settings, seeds=3, leads=(0, 6))
    return test, run_backtest(test)


@pytest.fixture
def again(done, tmp_path):
    """The same backtest in a folder of its own, with the runs and the scores of the first."""
    folder = tmp_path / "b"
    shutil.copytree(done[0].folder, folder)
    return replace(done[0], folder=folder)


def forget(test: Backtest) -> Backtest:
    """Without scores and hindcasts: every forecast is made anew from the run that is there."""
    shutil.rmtree(test.folder / "scores")
    for place in test.folder.glob("runs/*/hindcasts"):
        shutil.rmtree(place)
    return test


def state(test: Backtest, *folders: str) -> dict[str, tuple[int, int]]:
    files = [p for folder in folders for p in (test.folder / folder).rglob("*") if p.is_file()]
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in files if p.name != "model_card.md"}


def by_model(rows, lead) -> dict[str, dict]:
    return {row["model"]: row for row in rows if row["lead_months"] == lead}


# --- the command line -------------------------------------------------------------------------------------


def test_a_backtest_as_it_is_typed(said, command, done):
    (code, out, err), place = said, command[1]
    assert (code, err) == (0, "")
    rows = json.loads((place / "skill.json").read_text())
    assert rows == done[1].rows == json.loads((place / "b" / "synthetic-backtest.json").read_text())
    for name in ("synthetic-by-state.csv", "synthetic-reliability.csv", "synthetic-skill-by-lead.png"):
        assert (place / "b" / name).is_file()
        assert name in out.replace("\n", "")
    told = " ".join(out.split())
    assert "soybean, harvest years 2015-2015, synthetic data: RMSE kg/ha" in told
    assert "training soybean to 2013, member done: seed 1" in told
    # what it wrote is what `forecast --skill` reads
    assert read_skill(place / "skill.json", "soybean") == rows
    # again: nothing is trained, the same is said
    files = state(done[0], "runs", "scores")
    code, again, err = typed(*command[0])
    assert (code, err) == (0, "")
    assert "member done" not in again
    assert again[again.index("soybean, harvest") :] == out[out.index("soybean, harvest") :]
    assert state(done[0], "runs", "scores") == files


# --- what it gives ----------------------------------------------------------------------------------------


def test_rows_have_the_keys_that_readers_expect(done):
    rows = done[1].rows
    assert [list(row) for row in rows] == [KEYS] * 14
    assert [(row["lead_months"], row["model"]) for row in rows] == [(k, m) for k in (6, 0) for m in MODELS]
    for row in rows:
        assert (row["crop"], row["harvest_year"]) == ("soybean", 2015)
        assert row["rmse_kg_ha"] >= row["crps_kg_ha"] > 0
        assert (row["coverage90"] is not None) == (row["model"] in ("forecast", "climatology"))
    assert len({row["n"] for row in rows}) == 1  # all on the same rows
    json.dumps(rows, allow_nan=False)


def test_states_are_parts_of_the_whole(done):
    rows, states = done[1].rows, done[1].by_state
    for row in rows:
        mine = [s for s in states if all(s[k] == row[k] for k in ("lead_months", "model"))]
        assert [list(s) for s in mine] == [["state", *KEYS]] * len(mine)
        assert sum(s["n"] for s in mine) == row["n"]
        # squared and absolute errors are sums over rows
        assert sum(s["n"] * s["rmse_kg_ha"] ** 2 for s in mine) == pytest.approx(
            row["n"] * row["rmse_kg_ha"] ** 2
        )
        assert sum(s["n"] * s["crps_kg_ha"] for s in mine) == pytest.approx(row["n"] * row["crps_kg_ha"])


def test_reliability_agrees_with_coverage(done):
    found = done[1].reliability
    assert [(r["lead_months"], r["model"]) for r in found] == [
        (lead, model) for lead in (6, 0) for model in ("forecast", "climatology")
    ]
    for row in found:
        shares = [row[str(level)] for level in QUANTILES]
        assert shares == sorted(shares)
        covered = by_model(done[1].rows, row["lead_months"])[row["model"]]["coverage90"]
        assert covered == pytest.approx(shares[-1] - shares[0], abs=1.01 / row["n"])  # ends count twice
        assert row["width90_kg_ha"] > 0


def test_what_is_written_is_what_was_found(done, tmp_path):
    paths = write_results(done[1], tmp_path, tmp_path / "skill.json")
    assert [p.name for p in paths] == [
        "skill.json", "synthetic-backtest.json", "synthetic-by-state.csv", "synthetic-reliability.csv",
        "synthetic-accuracy.json", "synthetic-rows.csv.gz",
    ]  # fmt: skip
    assert json.loads(paths[0].read_text()) == json.loads(paths[1].read_text()) == done[1].rows
    with open(paths[2], newline="") as file:
        states = list(csv.DictReader(file))
    assert [row["model"] for row in states] == [row["model"] for row in done[1].by_state]
    assert float(states[0]["rmse_kg_ha"]) == done[1].by_state[0]["rmse_kg_ha"]
    assert {row["coverage90"] for row in states if row["model"] in BASELINES} == {""}
    real = write_results(replace(done[1], synthetic=False), tmp_path)
    assert [p.name for p in real] == [
        "backtest.json", "by-state.csv", "reliability.csv", "accuracy.json", "rows.csv.gz",
    ]  # fmt: skip


def test_every_row_of_the_forecast_and_the_baselines_is_kept(done, tmp_path):
    file = write_results(done[1], tmp_path)[-1]
    table = read_rows(file)
    write_rows(file, [table.assign(crop="corn"), table.assign(yield_kg_ha=1.0)])
    write_results(done[1], tmp_path)  # rows of another crop are kept, its own are replaced
    both = read_rows(file)
    assert both["crop"].value_counts().to_dict() == {"corn": len(table), "soybean": len(table)}
    table = both[both["crop"] == "soybean"]
    assert list(models_of(table)) == MODELS
    for row in done[1].rows:
        date = {6: AHEAD, 0: AFTER}[row["lead_months"]]
        mine = table[(table["model"] == row["model"]) & (table["as_of"] == str(date))]
        assert (len(mine), set(mine["crop"]), set(mine["harvest_year"])) == (row["n"], {"soybean"}, {2015})
        error = mine["forecast_kg_ha"] - mine["yield_kg_ha"]
        assert math.sqrt((error**2).mean()) == pytest.approx(row["rmse_kg_ha"], abs=0.02)
        inside = (mine["yield_kg_ha"] >= mine["q05"]) & (mine["yield_kg_ha"] <= mine["q95"])
        if row["coverage90"] is not None:
            assert inside.mean() == pytest.approx(row["coverage90"], abs=1 / row["n"])


def test_a_folder_without_rows_gets_them_by_the_same_command(again):
    parts = sorted((again.folder / "scores").glob("*.csv.gz"))
    before = [part.read_bytes() for part in parts]
    assert len(before) == 2
    for part in parts:  # as a folder of an earlier version
        part.unlink()
    found = run_backtest(again)
    assert [part.read_bytes() for part in parts] == before
    assert sorted(found.row_files) == parts


def test_dates_and_leads_by_hand(done, calendar):
    test = replace(done[0], leads=None)
    cases = test.cases()
    # Most of this soybean grows where the window is October to June: from the month before planting, on the
    # 15th, to the month after the end of harvest.
    _, end = season_dates.main_window(calendar, "soybean", test.store.tables, 2015, 2012)
    assert str(end) == "2015-06"
    assert [(c.as_of.isoformat(), c.lead_months) for c in cases] == [
        ("2014-09-15", 9), ("2014-10-15", 8), ("2014-11-15", 7), ("2014-12-15", 6), ("2015-01-15", 5),
        ("2015-02-15", 4), ("2015-03-15", 3), ("2015-04-15", 2), ("2015-05-15", 1), ("2015-06-15", 0),
        ("2015-07-15", -1),
    ]  # fmt: skip
    assert [(c.as_of, c.lead_months) for c in done[0].cases()] == [(AHEAD, 6), (AFTER, 0)]
    both = replace(done[0], test_years=(2014, 2015))
    assert [(c.harvest_year, c.as_of.year) for c in both.cases()] == [
        (2014, 2013), (2014, 2014), (2015, 2014), (2015, 2015),
    ]  # fmt: skip


def test_each_run_knows_only_what_was_public(done):
    run = runs_of(done[0])
    newest = done[0].settings.data.publication().last_public_harvest_year
    for case in done[0].cases():
        years = run(case).identity.train_years
        assert years == (2011, 2012, 2013)
        assert max(years) == newest(case.as_of) < 2015
    assert [p.name for p in (done[0].folder / "runs").iterdir()] == ["soybean-2011-2013"]


@pytest.mark.parametrize(("date", "lead"), [(AHEAD, 6), (AFTER, 0)])
def test_the_baselines_are_those_of_evaluate(done, date, lead):
    run = runs_of(done[0])(done[0].cases()[0])
    scores = evaluate_run(run, done[0].store, [2015], date).scores
    rows = by_model(done[1].rows, lead)
    assert rows["forecast"]["n"] == scores.ensemble.n
    for name in BASELINES:
        baseline = scores.baselines[name].score
        assert rows[name]["rmse_kg_ha"] == pytest.approx(baseline.rmse_kg_ha)
        assert rows[name]["mape_pct"] == pytest.approx(baseline.mape_pct)
        assert rows[name]["r"] == pytest.approx(baseline.r)


def test_climatology_sees_the_ten_public_years(done, tables):
    # The yields of 2008 to 2013 of each place: its median and mean lie within them, so a place whose yield
    # of 2015 was above or below all of them is outside the interval.
    soy = tables.yields["yield_kg_ha"].sel(crop="soybean")
    past, truth = soy.sel(harvest_year=slice(None, 2013)), soy.sel(harvest_year=2015)
    known = truth.notnull() & (past.notnull().sum("harvest_year") >= 5)
    low, high = (past.quantile(q, "harvest_year") for q in (0.05, 0.95))
    share = float(((truth >= low) & (truth <= high)).values[known.values].mean())
    row = by_model(done[1].rows, 6)["climatology"]
    rest = row["n"] - int(known.sum())  # places with fewer than five years take their state's
    assert abs(row["coverage90"] * row["n"] - share * int(known.sum())) <= rest + 1e-6
    assert rest <= 8
    assert row["rmse_kg_ha"] == by_model(done[1].rows, 0)["climatology"]["rmse_kg_ha"]


# --- no leak ----------------------------------------------------------------------------------------------


def with_changes(tables: Tables, path, first_month: str, years: list[int], kg_ha: float = 700.0) -> Store:
    """A store in which weather from a month on and yields of some years are different."""
    weather, yields = tables.weather.copy(deep=True), tables.yields.copy(deep=True)
    late = weather["time"].values >= np.datetime64(first_month)
    for name in weather:
        dry = name == "precipitation_mm"
        values = weather[name].transpose(..., "time").values
        weather[name].transpose(..., "time").values[..., late] = (values * 0.3 if dry else values + 3)[
            ..., late
        ]
    yields["yield_kg_ha"].loc[{"harvest_year": years}] += np.float32(kg_ha)
    return Store.write(path, Tables(tables.static, weather, yields), {})


def test_nothing_that_was_not_public_changes_a_score(again, tables, done, tmp_path):
    # On 15 December 2014 weather is known to November and yields to 2013. The yields of 2015 are the truth
    # that is scored against; those of 2014 and 2016 and all later weather are changed.
    store = with_changes(tables, tmp_path / "s", "2014-12", [2014, 2016])
    found = run_backtest(replace(forget(again), store=store)).rows
    before = done[1].rows
    assert by_model(found, 6) == by_model(before, 6)
    # six months later the changed weather is public: what reads it moves, what reads yields alone does not
    ours, theirs = by_model(found, 0), by_model(before, 0)
    moved = {name for name in MODELS if ours[name] != theirs[name]}
    assert moved == {"forecast", "boosted_history_public"}
    # and public yields are read: 2013 changed cannot even be scored with a run that was trained on them
    earlier = with_changes(tables, tmp_path / "t", "2017-01", [2013])
    with pytest.raises(RunError, match="holds another training; it differs in: rows"):
        run_backtest(replace(again, store=earlier))


def test_a_changed_truth_is_scored_anew_and_moves_no_forecast(again, tables, done, tmp_path):
    files = state(again, "scores", "runs")
    found = {}
    for sign in (1, -1):
        store = with_changes(tables, tmp_path / str(sign), "2017-01", [2015], 200.0 * sign)
        found[sign] = run_backtest(replace(again, store=store, leads=(6,))).rows
    before = [row for row in done[1].rows if row["lead_months"] == 6]
    for row, more, less in zip(before, found[1], found[-1], strict=True):
        assert (more["n"], more["model"]) == (row["n"], row["model"])
        # The forecasts stay: errors e become e - 200 and e + 200, whose squares have the mean e^2 + 200^2,
        # and a shift of all targets moves no correlation.
        squares = (more["rmse_kg_ha"] ** 2 + less["rmse_kg_ha"] ** 2) / 2
        assert squares == pytest.approx(row["rmse_kg_ha"] ** 2 + 200**2, rel=1e-4)
        assert more["r"] == pytest.approx(row["r"], abs=1e-4)
        assert more["rmse_kg_ha"] != pytest.approx(row["rmse_kg_ha"], rel=1e-3)
    after = state(again, "scores", "runs")
    assert {name: after[name] for name in files} == files  # nothing trained, no score overwritten
    assert len(list((again.folder / "scores").glob("*.json"))) == 4


# --- what is kept -----------------------------------------------------------------------------------------


def test_a_second_call_does_nothing_and_gives_the_same(again, done):
    for file in again.folder.glob("runs/*/members/*.keras"):
        file.write_bytes(b"")  # nothing could be forecast any more
    files = state(again, "scores", "runs")
    found = run_backtest(again)
    assert found == done[1]
    assert state(again, "scores", "runs") == files
    # and that would be noticed: one more lead needs the members
    with pytest.raises(RunError, match="member 1 of"):
        run_backtest(replace(again, leads=(0, 3, 6)))


def test_killed_halfway_it_goes_on(again, done):
    def kill(count, total):
        assert (count, total) == (1, 2)
        raise KeyboardInterrupt

    forget(again)
    with pytest.raises(KeyboardInterrupt):
        run_backtest(again, progress=kill)
    (first,) = (again.folder / "scores").glob("*.json")
    assert "soybean-2015-2014-12-15-" in first.name
    files, told = state(again, "scores"), []
    assert run_backtest(again, progress=lambda *at: told.append(at)) == done[1]
    assert told == [(1, 2), (2, 2)]
    assert files.items() <= state(again, "scores").items()  # the first was not made again


@pytest.mark.parametrize("kind", ["json", "csv.gz"])
def test_a_damaged_score_is_made_again(again, done, kind):
    (file,) = (again.folder / "scores").glob(f"soybean-2015-2014-12-15-*.{kind}")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert run_backtest(again) == done[1]
    assert file.read_bytes() == whole


def test_other_leads_of_a_kept_backtest_are_parts_of_it(again, done):
    for lead in (0, 6):
        found = run_backtest(replace(again, leads=(lead,))).rows
        assert found == [row for row in done[1].rows if row["lead_months"] == lead]


# --- errors -----------------------------------------------------------------------------------------------


def test_what_cannot_be_tested_is_refused_before_anything_is_trained(done, tmp_path):
    test = replace(done[0], folder=tmp_path / "b")
    with pytest.raises(MissingDataError, match="no yields of 'cotton'; it has: soybean"):
        run_backtest(replace(test, crop="cotton"))
    with pytest.raises(
        MissingDataError, match="harvest year 2017, 2030 to score against; the store has 2008 to 2016"
    ):
        run_backtest(replace(test, test_years=(2016, 2017, 2030)))
    with pytest.raises(
        ConfigError, match="no lead time of 12, 99 months: those of soybean are -1 to 9"
    ) as error:
        run_backtest(replace(test, leads=(3, 12, 99)))
    assert "0:9" in error.value.hint
    assert not (tmp_path / "b").exists()
    with pytest.raises(MissingDataError, match="soybean yields of harvest year 2006 or before"):
        run_backtest(replace(test, test_years=(2009,)))
    # one harvest year has public yields, weather and a history of three years before it
    with pytest.raises(MissingDataError, match=r"two harvest years or more.*received 2011$"):
        run_backtest(replace(test, test_years=(2013, 2015)))
    assert not (tmp_path / "b" / "runs").exists()


def test_a_folder_of_other_settings_is_refused(again):
    data = again.settings.training.model_copy(update={"max_epochs": 2})
    other = again.settings.model_copy(update={"training": data})
    with pytest.raises(RunError, match=r"differs in: training\.max_epochs"):
        run_backtest(replace(again, settings=other))


def test_scores_are_numbers(done):
    for row in done[1].rows:
        assert all(math.isfinite(row[k]) for k in ("r", "mape_pct", "rmse_kg_ha", "crps_kg_ha"))
