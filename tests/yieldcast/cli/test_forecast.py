"""`yieldcast forecast` and `yieldcast backtest` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import pytest
from factories import refused, synthetic_skill

from yieldcast import config
from yieldcast.cli import forecast as cli_forecast
from yieldcast.data.store import Store
from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.forecasting import table as forecast_table
from yieldcast.operations.bulletins import Bulletin

DATE, YEAR = "2014-12-15", 2015


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
    def run(*more, trained=forecast_run.path, store=mapped.path, year=YEAR, out=tmp_path / "bulletins"):
        return call("forecast", trained, "--store", store, "--harvest-year", year, "--out", out, *more)

    return run


# --- forecast ---------------------------------------------------------------------------------------------


def test_a_forecast_is_a_bulletin_on_disk_and_a_table_on_the_screen(forecast, tmp_path):
    code, out, err = forecast("--as-of", DATE)
    assert (code, err) == (0, "")
    place = tmp_path / "bulletins" / "soybean-2015" / DATE
    bulletin = Bulletin.open(place)
    bulletin.verify()
    kinds = {f"forecast.{kind}" for kind in ("nc", "csv", "xlsx", "gpkg", "geojson")}
    names = kinds | {"report.html", "changes.json"}
    assert names <= set(bulletin.manifest["files"])
    table = forecast_table.read_forecast(place / "forecast.nc")
    assert (table.attrs["as_of"], table.attrs["harvest_year"], table.attrs["members"]) == (DATE, YEAR, 6)
    assert table.attrs["synthetic"] == 1
    assert "SYNTHETIC DATA: Soybean, season 2014/15" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80 or str(place) in out.replace("\n", "")
    assert f"bulletin: {place}" in out.replace("\n", "")
    # every aggregate is a line: median, interval, five-year mean, area, share observed
    for k, name in enumerate(table["aggregate"].values.tolist()):
        (line,) = [
            s for s in out.splitlines() if s.strip().startswith(("All" if name == "all" else name) + " ")
        ]
        low, median, high = (f"{table['aggregate_yield_kg_ha'].values[k, i]:,.0f}" for i in (0, 3, 6))
        assert [median, f"{low}–{high}"] == line.split()[1:3]


def test_the_same_call_again_is_the_same_bulletin_and_a_later_date_is_compared(forecast, tmp_path):
    first = forecast("--as-of", "2014-11-15")
    root = tmp_path / "bulletins" / "soybean-2015"
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
    said = " ".join(out.split())
    assert "DADOS SINTÉTICOS: Soja, safra 2014/15" in said
    assert "mediana" in said
    assert "boletim de 15/12/2014" in said
    place = tmp_path / "bulletins" / "soybean-2015" / DATE
    text = (place / "forecast.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert len(rows[0]) > 10
    assert "Município" in text
    assert '<html lang="pt' in (place / "report.html").read_text(encoding="utf-8")
    assert Bulletin.open(place).manifest["lang"] == "pt-BR"


def test_skill_is_shown_in_the_report(forecast, tmp_path):
    file = tmp_path / "skill.json"
    # 560 kg/ha six months ahead become 691.32; the yields of 2014 were not public
    file.write_text(json.dumps(synthetic_skill(years=(2013, 2014), scale=1.2345)))
    code, out, _ = forecast("--as-of", DATE, "--skill", file)
    assert code == 0
    assert f"1 harvest year left out, not public on {DATE}: 2014" in " ".join(out.split())
    assert "Hindcast: the store holds yields of harvest year 2015" in " ".join(out.split())
    with_skill = (tmp_path / "bulletins" / "soybean-2015" / DATE / "report.html").read_text(encoding="utf-8")
    assert forecast("--as-of", DATE, out=tmp_path / "plain")[0] == 0
    without = (tmp_path / "plain" / "soybean-2015" / DATE / "report.html").read_text(encoding="utf-8")
    assert '"rmse_kg_ha":691.3' in with_skill
    assert '"rmse_kg_ha":691.3' not in without
    refused(forecast("--as-of", DATE, "--skill", tmp_path / "none.json"), 3, "no file", "backtest --json")
    file.write_text("{")
    refused(forecast("--as-of", DATE, "--skill", file), 5, "not JSON")


def test_a_run_that_knows_the_future_exits_5_and_names_the_years(forecast, tmp_path):
    # PAM of 2013 counts as public from 10 October 2014; on the day before two of three years were.
    said = refused(forecast("--as-of", "2014-10-09"), 5, "harvest years 2013", "2013 on 2014-10-10")
    assert "2012 on" not in said
    assert "trained on harvest years up to 2012" in said
    refused(forecast("--as-of", "2012-12-01"), 5, "2012, 2013")
    refused(forecast("--as-of", DATE, year=2012), 5, "2012, 2013", "before 2012")
    assert not (tmp_path / "bulletins").exists()
    assert forecast("--as-of", "2014-10-10")[0] == 0


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


def test_a_leak_is_reported_without_loading_tensorflow(forecast_run, forecast_store, tmp_path):
    check = (
        "import sys; from yieldcast.cli.app import main\n"
        "try: main()\n"
        "finally: print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    arguments = [
        "forecast", forecast_run.path, "--store", forecast_store.path, "--harvest-year", "2015", "--as-of",
        "2013-12-15", "--out", tmp_path / "bulletins",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", check, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stdout.strip() == "[]"
    assert done.stderr.startswith("Error: ")


@pytest.mark.slow
def test_the_program_itself(forecast_run, forecast_store, tmp_path):
    arguments = [
        "forecast", forecast_run.path, "--store", forecast_store.path, "--harvest-year", "2015", "--as-of",
        DATE, "--out", tmp_path / "bulletins",
    ]  # fmt: skip
    command = [sys.executable, "-m", "yieldcast", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # not a line of TensorFlow's
    assert (tmp_path / "bulletins" / "soybean-2015" / DATE / "report.html").is_file()


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
    refused(backtest("--leads", "0,99"), 2, "no lead time of 99 months", "-1 to 9")
    refused(backtest("--leads", "-5"), 2, "no lead time of -5 months")
    refused(backtest("--leads", "soon"), 2, "--leads", "0:9")
    refused(backtest("--dates", "soon"), 2, "--dates", "10-15,01-15")
    refused(backtest("--workers", 2, "--dask", "tcp://localhost:1"), 2, "--workers and --dask exclude")
    network = tmp_path / "network.toml"
    network.write_text('[forecast]\nmethod = "network"\n')
    left_out = ("--protocol", "leave-year-out")
    refused(backtest("--config", network, *left_out), 2, "leave-year-out protocol needs", "posterior")
    refused(backtest(*left_out, "--scenarios", "seasonal"), 2, "received seasonal forecasts")
    refused(backtest("--json", tmp_path / "no" / "x.json"), 3, "--json")
    refused(backtest(store=tmp_path / "none"), 3)
    refused(backtest("--config", tmp_path / "none.toml"), 3, "no config file")
    (tmp_path / "paper.toml").write_text("[training]\nvalidation = 'random'\n")
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
        said = refused(call(*train, *more), 6, "holds another training")
        return set(re.findall(r"(?:network|training|data|forecast)\.\w+", said))

    assert differing("--preset", "forecast") == small
    assert differing() == small  # forecast is the default
    paper, ours = (
        {f"{section}.{key}": value for section, content in settings for key, value in content}
        for settings in (config.Settings(), forecast_run.settings)
    )
    others = {key for key in paper if paper[key] != ours[key]}
    assert differing("--preset", "paper") == others
    assert {"training.validation", "network.target", "data.yield_releases", "forecast.method"} < others
    file = tmp_path / "c.toml"
    file.write_text("[training]\nmax_epochs = 3\n")  # as in the run
    assert differing("--preset", "paper", "--config", file) == others - {"training.max_epochs"}
    assert differing("--config", file) == small - {"training.max_epochs"}
    # Harvest years whose yields were public: those to 2013, the day before to 2012.
    dated = ("train", *data[:4], "--out", copy, "--as-of")
    said = refused(call(*dated, "2014-10-09"), 6, "holds another training")
    assert "identity.train_years" in said or "train_years" in said
    assert call(*train, "--preset", "best")[0] == 2
