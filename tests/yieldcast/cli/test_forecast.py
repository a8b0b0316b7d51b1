"""`yieldcast forecast` and `yieldcast backtest` as they are typed, and what they print."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from factories import synthetic_forecast
from rich.console import Console

from yieldcast import config
from yieldcast.cli import app
from yieldcast.cli import forecast as cli_forecast
from yieldcast.cli.views.forecast import forecast_view, skill_view, states_view
from yieldcast.data.store import Store
from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.forecasting import table as forecast_table
from yieldcast.operations.bulletins import Bulletin
from yieldcast.reporting.figures import skill_png

DATE, YEAR = "2014-12-15", 2015
MODELS = [
    "forecast", "last_public", "mean_5y_public", "trend_10y_public", "boosted_history_public", "climatology",
]  # fmt: skip


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line in this process on 80 columns; gives exit code, standard output and error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["yieldcast", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as caught:
            app.main()
        out = capsys.readouterr()
        return caught.value.code or 0, out.out, out.err

    return run


@pytest.fixture(scope="module")
def mapped(forecast_store, tmp_path_factory):
    """The store that the run was trained on, with boundaries."""
    static = forecast_store.static
    about = (static[name].values.tolist() for name in ("municipality", "name", "state"))
    place = (static[name].values.tolist() for name in ("latitude_deg", "longitude_deg"))
    mesh = json.dumps(synthetic_mesh(*about, *place))
    return Store.write(tmp_path_factory.mktemp("mapped"), forecast_store.tables, {}, mesh)


@pytest.fixture
def forecast(call, forecast_run, mapped, tmp_path):
    def run(*more, trained=forecast_run.path, store=mapped.path, year=YEAR, out=tmp_path / "issues"):
        return call("forecast", trained, "--store", store, "--harvest-year", year, "--out", out, *more)

    return run


def refused(result, code, *texts):
    """One screen on standard error, with a hint, the right exit code and no traceback."""
    assert result[0] == code, result
    told = " ".join(result[2].split())
    assert "Traceback" not in told
    assert "Hint:" in told
    assert len(result[2].splitlines()) < 24
    for text in texts:
        assert text in told
    return told


def skill_rows(leads=(6, 3, 0), years=(2014, 2015), scale=1.0, states=()):
    """Rows of a backtest in which the forecast is better than every line up to three months ahead."""
    rows = []
    for state in states or [None]:
        for year in years:
            for lead in leads:
                for k, model in enumerate(MODELS):
                    rmse = (500.0 + 10 * lead if model == "forecast" else 530.0 + 10 * k) * scale
                    spread = model in ("forecast", "climatology")
                    rows.append(
                        {
                            **({"state": state} if state else {}),
                            "crop": "soybean", "harvest_year": year, "lead_months": lead, "model": model,
                            "n": 100, "r": 0.5, "mape_pct": 14.0, "rmse_kg_ha": rmse,
                            "crps_kg_ha": rmse * (0.55 if spread else 0.8),
                            "coverage90": (0.95 if year == 2014 else 0.85) if spread else None,
                        }
                    )  # fmt: skip
    return rows


# --- forecast ---------------------------------------------------------------------------------------------


def test_a_forecast_is_an_issue_on_disk_and_a_table_on_the_screen(forecast, tmp_path):
    code, out, err = forecast("--as-of", DATE)
    assert (code, err) == (0, "")
    place = tmp_path / "issues" / "soybean-2015" / DATE
    issue = Bulletin.open(place)
    issue.verify()
    kinds = {f"forecast.{kind}" for kind in ("nc", "csv", "xlsx", "gpkg", "geojson")}
    names = kinds | {"report.html", "changes.json"}
    assert names <= set(issue.manifest["files"])
    table = forecast_table.read_forecast(place / "forecast.nc")
    assert (table.attrs["as_of"], table.attrs["harvest_year"], table.attrs["members"]) == (DATE, YEAR, 6)
    assert table.attrs["synthetic"] == 1
    assert "SYNTHETIC DATA: Soybean, harvest year 2015 (2014/15)" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80 or str(place) in out.replace("\n", "")
    assert f"issue: {place}" in out.replace("\n", "")
    # every aggregate is a line: median, interval, five-year mean, area, share observed
    for k, name in enumerate(table["aggregate"].values.tolist()):
        (line,) = [
            s for s in out.splitlines() if s.strip().startswith(("All" if name == "all" else name) + " ")
        ]
        low, median, high = (f"{table['aggregate_yield_kg_ha'].values[k, i]:,.0f}" for i in (0, 3, 6))
        assert [median, f"{low}–{high}"] == line.split()[1:3]


def test_the_same_call_again_is_the_same_issue_and_a_later_date_is_compared(forecast, tmp_path):
    first = forecast("--as-of", "2014-11-15")
    root = tmp_path / "issues" / "soybean-2015"
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}
    again = forecast("--as-of", "2014-11-15")
    assert again[0] == 0
    assert first[1].endswith(again[1])
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()} == before
    code, out, err = forecast("--as-of", DATE)
    assert (code, err) == (0, "")
    assert sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) == ["2014-11-15", DATE]
    later = Bulletin.open(root / DATE)
    assert later.manifest["previous"] == "2014-11-15"
    assert " ".join(later.summary("en").split()) in " ".join(out.split())
    assert "2014-11-15" in later.summary("en")


def test_portuguese(forecast, tmp_path):
    code, out, err = forecast("--as-of", DATE, "--lang", "pt")
    assert (code, err) == (0, "")
    told = " ".join(out.split())
    assert "DADOS SINTÉTICOS: Soja, safra 2014/15" in told
    assert "mediana" in told
    assert "edição de 15/12/2014" in told
    place = tmp_path / "issues" / "soybean-2015" / DATE
    text = (place / "forecast.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert len(rows[0]) > 10
    assert "Município" in text
    assert '<html lang="pt' in (place / "report.html").read_text(encoding="utf-8")
    assert Bulletin.open(place).manifest["lang"] == "pt"


def test_skill_is_shown_in_the_report(forecast, tmp_path):
    file = tmp_path / "skill.json"
    file.write_text(json.dumps(skill_rows(scale=1.2345)))  # 560 kg/ha six months ahead become 691.32
    assert forecast("--as-of", DATE, "--skill", file)[0] == 0
    with_skill = (tmp_path / "issues" / "soybean-2015" / DATE / "report.html").read_text(encoding="utf-8")
    assert forecast("--as-of", DATE, out=tmp_path / "plain")[0] == 0
    without = (tmp_path / "plain" / "soybean-2015" / DATE / "report.html").read_text(encoding="utf-8")
    assert '"rmse_kg_ha":691.3' in with_skill
    assert '"rmse_kg_ha":691.3' not in without
    refused(forecast("--as-of", DATE, "--skill", tmp_path / "none.json"), 3, "no file", "backtest --json")
    file.write_text("{")
    refused(forecast("--as-of", DATE, "--skill", file), 5, "not JSON")


def test_a_run_that_knows_the_future_exits_5_and_names_the_years(forecast, tmp_path):
    # PAM of 2013 is public from 1 October 2014; on the last day of September two of three years were.
    told = refused(forecast("--as-of", "2014-09-30"), 5, "harvest years 2013", "2013 on 2014-10-01")
    assert "2012 on" not in told
    assert "trained on harvest years to 2012" in told
    refused(forecast("--as-of", "2012-12-01"), 5, "2012, 2013")
    refused(forecast("--as-of", DATE, year=2012), 5, "2012, 2013", "before 2012")
    assert not (tmp_path / "issues").exists()
    assert forecast("--as-of", "2014-10-01")[0] == 0


def test_a_run_without_hindcasts_exits_6(forecast, forecast_run, tmp_path):
    paper = tmp_path / "paper"
    shutil.copytree(forecast_run.path, paper)
    shutil.rmtree(paper / "hindcasts", ignore_errors=True)
    resolved = json.loads((paper / "resolved.json").read_text())
    resolved["training"]["validation"] = "random"
    (paper / "resolved.json").write_text(json.dumps(resolved))
    refused(forecast("--as-of", DATE, trained=paper), 6, "no hindcasts", "--preset forecast")


def test_settings_that_cannot_be_exit_2(forecast):
    refused(forecast("--as-of", "2199-01-01"), 2, "not after today", "2199-01-01")
    refused(forecast("--as-of", "15/12/2014"), 2, "YYYY-MM-DD")
    assert forecast("--as-of", DATE, "--scenarios", "tarot")[0] == 2
    assert forecast("--as-of", DATE, "--lang", "de")[0] == 2
    assert forecast("--as-of", DATE, year="15")[0] == 2


def test_what_is_not_there_exits_3(forecast, tmp_path):
    refused(forecast("--as-of", DATE, trained=tmp_path / "none"), 3, "no run")
    refused(forecast("--as-of", DATE, store=tmp_path / "none"), 3)
    refused(forecast("--as-of", DATE, "--scenarios", "seasonal"), 3, "fetch seasonal")
    (tmp_path / "file").write_text("")
    refused(forecast("--as-of", DATE, out=tmp_path / "file"), 3)


def test_brackets_in_a_folder_are_text(forecast, tmp_path):
    code, out, _ = forecast("--as-of", DATE, out=tmp_path / "[bold]x[red]")
    assert code == 0
    assert "[bold]x[red]" in out.replace("\n", "")


def test_a_leak_is_told_without_loading_tensorflow(forecast_run, forecast_store, tmp_path):
    check = (
        "import sys; from yieldcast import cli\n"
        "try: cli.main()\n"
        "finally: print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    arguments = [
        "forecast", forecast_run.path, "--store", forecast_store.path, "--harvest-year", "2015", "--as-of",
        "2013-12-15", "--out", tmp_path / "issues",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", check, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stdout.strip() == "[]"
    assert done.stderr.startswith("Error: ")


@pytest.mark.slow
def test_the_program_itself(forecast_run, forecast_store, tmp_path):
    arguments = [
        "forecast", forecast_run.path, "--store", forecast_store.path, "--harvest-year", "2015", "--as-of",
        DATE, "--out", tmp_path / "issues",
    ]  # fmt: skip
    command = [sys.executable, "-m", "yieldcast", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # not a line of TensorFlow's
    assert (tmp_path / "issues" / "soybean-2015" / DATE / "report.html").is_file()


# --- backtest ---------------------------------------------------------------------------------------------


@pytest.fixture
def backtest(call, small_store, tmp_path):
    def run(*more, crop="soybean", years="2015", store=small_store.path):
        return call(
            "backtest",
            "--store",
            store,
            "--crop",
            crop,
            "--test-years",
            years,
            "--out",
            tmp_path / "b",
            *more,
        )

    return run


def test_backtests_that_cannot_be_made(backtest, monkeypatch, tmp_path):
    def loaded():
        raise AssertionError("TensorFlow was loaded before a refusal that needs none")

    monkeypatch.setattr(cli_forecast, "load_tensorflow", loaded)
    refused(backtest(crop="cotton"), 3, "'cotton'", "soybean")
    refused(backtest(years="2015,2030"), 3, "2030", "2011 to 2016")
    refused(backtest(years="15"), 2, "--test-years")
    refused(backtest("--leads", "0,99"), 2, "no lead of 99 months", "-1 to 9")
    refused(backtest("--leads", "-5"), 2, "no lead of -5 months")
    refused(backtest("--leads", "soon"), 2, "--leads", "0:9")
    refused(backtest("--json", tmp_path / "no" / "x.json"), 3, "--json")
    refused(backtest(store=tmp_path / "none"), 3)
    refused(backtest("--config", tmp_path / "none.toml"), 3, "no config file")
    (tmp_path / "paper.toml").write_text("[training]\nmax_epochs = 3\n")
    refused(backtest("--config", tmp_path / "paper.toml"), 2, "each_year", "'random'")
    assert not (tmp_path / "b").exists()
    monkeypatch.undo()
    # yields of 2011 on: none of a year before 2015 has a history of three years
    refused(backtest(), 3, "two harvest years or more", "received none")
    assert not (tmp_path / "b" / "runs").exists()


# --- settings ---------------------------------------------------------------------------------------------


def test_presets_of_train(call, forecast_run, forecast_store, tmp_path):
    # A run begun with other settings tells which ones differ from those asked for: nothing is trained.
    copy = tmp_path / "run"
    shutil.copytree(forecast_run.path, copy)
    data = ("--store", forecast_store.path, "--crop", "soybean", "--train-years", "2011:2013")
    train = ("train", *data, "--out", copy)
    small = {
        "network.lstm_units", "network.static_units", "network.head_units", "training.batch_size",
        "training.max_epochs",
    }  # fmt: skip

    def differing(*more):
        told = refused(call(*train, *more), 6, "holds another training")
        return set(re.findall(r"(?:network|training|data)\.\w+", told))

    assert differing("--preset", "forecast") == small
    assert differing() == small  # forecast is the default
    paper = config.Settings().model_dump()
    ours = forecast_run.settings.model_dump()
    others = {f"{s}.{k}" for s in paper for k in paper[s] if paper[s][k] != ours[s][k]}
    assert differing("--preset", "paper") == others
    assert {"training.validation", "network.target", "data.yield_history"} < others
    file = tmp_path / "c.toml"
    file.write_text("[training]\nmax_epochs = 3\n")
    refused(call(*train, "--preset", "paper", "--config", file), 2, "--config and --preset")
    assert call(*train, "--preset", "best")[0] == 2


# --- what is printed --------------------------------------------------------------------------------------


def shown(renderable, width=80) -> str:
    screen = Console(width=width, file=io.StringIO(), color_system=None)
    screen.print(renderable)
    return screen.file.getvalue()


def line(text: str, start: str) -> list[str]:
    """The cells of the first line that begins with a word."""
    return next(s.split() for s in text.splitlines() if s.split()[:1] == [start])


def test_skill_by_hand():
    text = shown(skill_view(skill_rows(), synthetic=True))
    rmse, crps, coverage = re.split(r"soybean, harvest years 2014-2015, synthetic data: ", text)[1:]
    # models in the order of `html_skill.pooled`: ours, then by name
    assert line(rmse, "6") == ["6", "560", "570", "580", "540*", "550", "560"]
    assert line(rmse, "0") == ["0", "500*", "570", "580", "540", "550", "560"]
    # 560 against 540, 530 against 540, 500 against 540: ahead from three months on
    assert "RMSE: the forecast beats the best reference line from 3 months" in " ".join(rmse.split())
    assert line(crps, "0")[1] == "275*"
    # by CRPS against climatology alone, which has an uncertainty: 308 against 319 six months ahead
    told = " ".join(crps.split())
    assert (
        "CRPS: the forecast beats the best reference line with uncertainty of its own from 6 months" in told
    )
    assert line(coverage, "3") == ["3", "90", "%", "85", "%", "(2015)", "90", "%", "85", "%", "(2015)"]
    assert "lead: months before the end of harvest" in coverage
    assert "synthetic" not in shown(skill_view(skill_rows(), synthetic=False))


def test_a_forecast_that_does_not_win_says_so():
    worse = [
        {**r, "rmse_kg_ha": 9 * r["rmse_kg_ha"]} if r["model"] == "forecast" else r for r in skill_rows()
    ]
    assert "does not beat the best reference line up to the harvest." in " ".join(
        shown(skill_view(worse, False)).split()
    )
    late = [
        {**r, "rmse_kg_ha": 9000.0} if (r["model"], r["lead_months"]) == ("forecast", 0) else r
        for r in skill_rows()
    ]
    assert "up to the harvest. It does at 3 months." in " ".join(shown(skill_view(late, False)).split())


@pytest.mark.parametrize("scale", [1.0, 40.0, 150.0])
@pytest.mark.parametrize("width", [80, 120])
def test_no_number_and_no_name_is_cut(scale, width):
    leads = tuple(range(-1, 13))
    rows = skill_rows(leads, tuple(range(2010, 2019)), scale)
    states = skill_rows(leads, (2017, 2018), scale, states=("MT", "PR", "RS"))
    narrow, wide = (
        shown(skill_view(rows, True), w) + shown(states_view(states, True), w) for w in (width, 400)
    )
    assert max(map(len, narrow.splitlines())) <= width
    assert "…" not in narrow
    assert re.findall(r"-?\d+\*?", narrow) == re.findall(r"-?\d+\*?", wide)
    # a line per lead in each of three tables, none of them broken in two
    for lead in leads:
        assert len([s for s in narrow.splitlines() if s.split()[:1] == [str(lead)]]) == 3


def test_a_model_that_was_not_scored_at_a_lead_is_a_dash():
    rows = [r for r in skill_rows() if (r["model"], r["lead_months"]) != ("climatology", 6)]
    text = shown(skill_view(rows, False))
    assert line(text, "6") == ["6", "560", "570", "-", "540*", "550", "560"]
    lines = [r for r in skill_rows() if r["model"] != "climatology"]
    assert "climatology" not in shown(skill_view(lines, False))


def test_states_by_hand():
    text = shown(states_view(skill_rows(states=("MT", "RS")), synthetic=True))
    # 100 rows in each of two years; ours and the best line at 6 and at 0 months; ahead from 3 months
    assert line(text, "MT") == ["MT", "200", "560", "/", "540", "500", "/", "540", "3"]
    assert "by state, synthetic data" in text


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_a_forecast_fits_the_screen(lang):
    made = synthetic_forecast()
    text = shown(forecast_view(made, lang))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    thousands = {"en": ",", "pt": "."}[lang]
    low, median, high = (
        f"{made['aggregate_yield_kg_ha'].values[1, i]:,.0f}".replace(",", thousands) for i in (0, 3, 6)
    )
    cells = line(text, "MT")
    assert cells[1:3] == [median, f"{low}–{high}"]
    assert cells[-1] == f"{100 * made['aggregate_observed_share'].values[1]:.0f}"


def test_the_figure_is_a_picture_and_repeats_exactly(tmp_path):
    for name in ("a.png", "b.png"):
        assert skill_png(tmp_path / name, skill_rows(), "soybean $2018$ [%]") == tmp_path / name
    first, second = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    # one lead only, and lines without uncertainty, can be drawn too
    rows = [r for r in skill_rows(leads=(0,)) if r["coverage90"] is None]
    assert skill_png(tmp_path / "c.png", rows, "one").stat().st_size > 1000


def test_the_figure_shows_each_score_of_each_model(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn, save = [], Figure.savefig

    def keep(figure, *more, **options):
        drawn.append(figure)
        return save(figure, *more, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    skill_png(tmp_path / "a.png", skill_rows(), "t")
    rmse, _, coverage = drawn[0].axes
    assert sorted(one.get_label() for one in rmse.lines) == sorted(MODELS)
    (ours,) = [one for one in rmse.lines if one.get_label() == "forecast"]
    np.testing.assert_allclose(ours.get_xydata(), [[6, 560], [3, 530], [0, 500]])
    assert rmse.get_xlim()[0] > rmse.get_xlim()[1]  # time runs to the right: the longest lead is on the left
    assert all(tick == int(tick) for tick in rmse.get_xticks())
    assert [one.get_label() for one in coverage.lines][:2] == ["forecast", "climatology"]
