import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from factories import TINY_NETWORK, refused

from yieldcast.cli.arguments import parse_years
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.data.synthetic import foreign
from yieldcast.errors import ConfigError
from yieldcast.training.pipeline import train_run

ENTRY = str(Path(sys.executable).with_name("yieldcast"))


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    synthetic.write_files(folder, small)
    (folder / "tiny.toml").write_text(TINY_NETWORK)
    return folder


def options(files, store):
    names = {
        "--places": "places.csv",
        "--yields": "yields.csv",
        "--weather": "weather.nc",
        "--soil": "soil.csv",
    }
    return ["--store", store, *(part for k, v in names.items() for part in (k, files / v))]


@pytest.mark.parametrize("code", ["import yieldcast", "import yieldcast.cli.app"])
def test_importing_loads_neither_tensorflow_nor_keras(code):
    check = f"{code}, sys; print([m for m in ('tensorflow', 'keras', 'xarray') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_import_and_help_are_quick():
    # Processor time, the best of three: other work on the machine only ever adds.
    timed = "import time; t = time.process_time(); import yieldcast; print(time.process_time() - t)"
    imports = [
        float(
            subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True).stdout
        )
        for _ in range(3)
    ]
    assert min(imports) < 0.2
    seconds = []
    for _ in range(3):
        began = _seconds_of_children()
        out = subprocess.run([ENTRY, "--help"], check=True, capture_output=True, text=True)
        seconds.append(_seconds_of_children() - began)
    assert min(seconds) < 1
    assert all(
        name in out.stdout for name in ("demo", "calendar", "import", "status", "train", "evaluate", "job")
    )


def _seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_calendar_prints_the_window(call):
    code, out, _ = call("calendar", "soybean", "--state", "MT", "--harvest-year", "2018")
    assert code == 0
    assert out.splitlines()[0] == "2017-09 ... 2018-05"
    assert "9 months: 2017-09 2017-10" in out
    code, out, _ = call("calendar", "soybean", "--state", "DF", "--harvest-year", "2018")
    assert "row of MS" in out
    code, out, _ = call("calendar", "corn", "--state", "MT", "--harvest-year", "2018", "--months", "4")
    assert out.splitlines()[0] == "2017-10 ... 2018-01"


@pytest.mark.slow
def test_import_status_train_evaluate(call, files, tmp_path):
    code, out, _ = call("import", *options(files, tmp_path / "store"))
    assert code == 0
    assert "fingerprints" in out
    again = call("import", *options(files, tmp_path / "store"))[1]
    assert [line for line in out.splitlines() if "fingerprints" in line] == [
        line for line in again.splitlines() if "fingerprints" in line
    ]
    code, out, _ = call("status", "--store", tmp_path / "store")
    assert code == 0
    assert "2011-2016" in out
    run = tmp_path / "run"
    common = ("--store", tmp_path / "store", "--crop", "soybean", "--out", run, "--seeds", 2)
    years = ("--preset", "paper", "--train-years", "2011:2015")
    code, out, err = call("train", *common, *years, "--config", files / "tiny.toml")
    assert (code, err) == (0, "")
    assert "2 members of synthetic soybean" in out
    scores = tmp_path / "scores.json"
    arguments = ("--store", tmp_path / "store", "--test-years", "2016", "--json", scores)
    code, out, err = call("evaluate", run, *arguments)
    assert (code, err) == (0, "")
    assert "synthetic" in out.lower()
    assert (run / "config.toml").read_text() == TINY_NETWORK
    check_scores(json.loads(scores.read_text()))
    members = pd.read_csv(run / "synthetic-evaluation-2016-members.csv")
    assert members["seed"].tolist() == [1, 2]
    code, out, _ = call("evaluate", run, *arguments, "--as-of", "2015-12-20")
    assert code == 0
    assert "As of 2015-12-20" in out
    assert "after the forecast date of" in " ".join(out.split())
    dated = json.loads(scores.read_text())
    check_scores(dated)


def check_scores(document):
    assert list(document) == ["crop", "train_years", "test_years", "rows", "scores"]
    assert document["train_years"] == [2011, 2012, 2013, 2014, 2015]
    names = [
        "dual_path", "ensemble_mean", "last_year", "mean_5y", "trend_10y", "ridge", "boosted_weather",
        "boosted_history", "last_public", "mean_5y_public", "trend_10y_public", "boosted_history_public",
        "level_trend",
    ]  # fmt: skip
    assert sorted(row["model"] for row in document["scores"]) == sorted(names)
    keys = [
        "model",
        "kind",
        "n",
        "r",
        "mape_pct",
        "rmse_kg_ha",
        "bias_kg_ha",
        "r_sd",
        "r_max",
        "mape_sd",
        "mape_min",
    ]
    for row in document["scores"]:
        assert list(row) == keys
        assert row["n"] == document["rows"]
        assert (row["mape_min"] is not None) == (row["kind"] == "network")


@pytest.fixture(scope="module")
def trained(small_store, tiny_settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    return train_run(small_store, "soybean", range(2011, 2016), [1], out, tiny_settings).path


def test_unknown_names_and_settings_exit_2(call, files, small_store, tmp_path):
    where = ("--harvest-year", "2018")
    refused(call("calendar", "soyben", "--state", "MT", *where), 2, "soyben", "soybean")
    refused(call("calendar", "soybean", "--state", "XX", *where), 2, "XX")
    train = ("train", "--store", small_store.path, "--crop", "soybean", "--out", tmp_path / "r")
    train += ("--preset", "paper")
    refused(call(*train, "--train-years", "15"), 2, "--train-years")
    refused(call(*train, "--train-years", "2017:2011"), 2, "empty range")
    refused(call(*train, "--train-years", "2012", "--strategy", "tpu"), 2, "tpu")
    misspelt = tmp_path / "c.toml"
    misspelt.write_text("[network]\nlstm_unit = [4]\n")
    refused(call(*train, "--train-years", "2012", "--config", misspelt), 2, "lstm_units")
    refused(call(*train[:3], "--crop", "Soyben", *train[5:], "--train-years", "2012"), 2, "soybean")
    assert call("train", "--nonsense")[0] == 2
    refused(call(*train), 2, "either --train-years or --as-of", "received none")
    both = ("--train-years", "2012", "--as-of", "2016-10-01")
    refused(call(*train, *both), 2, "received both")
    one_left_out = ("train", *train[1:7], "--train-years", "2011:2013", "--seeds", 1)
    refused(call(*one_left_out), 2, "leave out two harvest years", "--seeds")
    evaluate = ("evaluate", tmp_path, "--store", small_store.path, "--test-years", "2016", "--as-of")
    for date in ("20/01/2018", "9999-12-31"):
        refused(call(*evaluate, date), 2, "YYYY-MM-DD")
    assert call("calendar", "soybean", "--state", "MT", "--harvest-year", "99999")[0] == 2


def test_missing_things_exit_3(call, trained, small_store, tmp_path):
    refused(call("status", "--store", tmp_path / "none"), 3)
    refused(
        call("evaluate", tmp_path / "none", "--store", small_store.path, "--test-years", "2016"), 3, "no run"
    )
    train = ("train", "--store", small_store.path, "--out", tmp_path / "r", "--preset", "paper")
    train += ("--train-years",)
    refused(call(*train, "2030", "--crop", "soybean"), 3, "2030", "2011 to 2016")
    refused(call(*train, "2012", "--crop", "cotton"), 3, "cotton")
    refused(call(*train, "2012", "--crop", "soybean", "--config", tmp_path / "no.toml"), 3, "no.toml")
    evaluate = ("evaluate", trained, "--store", small_store.path, "--test-years")
    refused(call(*evaluate, "2025"), 3, "2025")
    refused(call(*evaluate, "2016", "--json", tmp_path / "no" / "s.json"), 3, "--json")
    refused(call(*evaluate, "2016", "--as-of", "2005-01-15"), 3, "public on 2005-01-15")
    blocked = tmp_path / "file"
    blocked.write_text("")
    refused(call(*train[:3], "--out", blocked / "r", *train[5:], "2012", "--crop", "soybean"), 3)


def test_leaks_and_malformed_contents_exit_5(call, trained, small_store, files, tmp_path):
    evaluate = ("evaluate", trained, "--store", small_store.path, "--test-years")
    refused(call(*evaluate, "2015:2016"), 5, "2015")
    table = pd.read_csv(files / "yields.csv", dtype=str)
    for folder, column, value in (("huge", "yield_kg_ha", "10000000"), ("text", "yield_kg_ha", "abc")):
        (tmp_path / folder).mkdir()
        for name in ("places.csv", "weather.nc", "soil.csv"):
            (tmp_path / folder / name).write_bytes((files / name).read_bytes())
        broken = table.copy()
        broken.loc[3, column] = value
        broken.to_csv(tmp_path / folder / "yields.csv", index=False)
        refused(call("import", *options(tmp_path / folder, tmp_path / "store")), 5, "yield")
    assert not (tmp_path / "store" / "store.json").exists()


def test_one_municipality_and_a_constant_target(call, files, tmp_path):
    table = pd.read_csv(files / "yields.csv", dtype=str)
    one = table[table["municipality_code"] == table["municipality_code"][0]]
    flat = table.assign(yield_kg_ha="3000")
    for name, changed, code, text in (("one", one, 3, "one municipality"), ("flat", flat, 5, "3000")):
        folder = tmp_path / name
        folder.mkdir()
        for other in ("places.csv", "weather.nc", "soil.csv"):
            (folder / other).write_bytes((files / other).read_bytes())
        changed.to_csv(folder / "yields.csv", index=False)
        assert call("import", *options(folder, folder / "store"))[0] == 0
        train = ("train", "--store", folder / "store", "--crop", "soybean", "--train-years", "2012:2013")
        train = (*train, "--preset", "paper")
        refused(call(*train, "--out", folder / "run"), code, text)
        assert not (folder / "run").exists()


def test_a_run_of_another_version_exits_6(call, small_store, trained, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    content = json.loads((trained / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**content, "format": 0}))
    refused(call("evaluate", other, "--store", small_store.path, "--test-years", "2016"), 6, "format 0")
    (trained / "members" / "member_001.json").rename(tmp_path / "kept.json")
    try:
        refused(
            call("evaluate", trained, "--store", small_store.path, "--test-years", "2016"), 6, "no finished"
        )
    finally:
        (tmp_path / "kept.json").rename(trained / "members" / "member_001.json")


def test_brackets_in_names_are_text_not_markup(call, files, tmp_path):
    store = tmp_path / "[bold]x[red]"
    assert call("import", *options(files, store))[0] == 0
    code, out, err = call("status", "--store", store)
    assert (code, err) == (0, "")
    assert "[bold]x[red]" in "".join(out.split())


def test_crops_are_the_same_in_any_case(call, files, tmp_path):
    where = ("--state", "MT", "--harvest-year", "2018")
    assert call("calendar", "SoyBean", *where)[1] == call("calendar", "soybean", *where)[1]


def test_debug_shows_the_traceback(tmp_path):
    command = [ENTRY, "status", "--store", str(tmp_path / "none"), "--debug"]
    assert "Traceback" in subprocess.run(command, capture_output=True, text=True).stderr


def test_unexpected_errors_and_ctrl_c_are_short_too(call, monkeypatch, tmp_path):
    import yieldcast.data.store

    for error, code in ((ZeroDivisionError("x"), 1), (KeyboardInterrupt(), 130)):

        def fail(path, error=error):
            raise error

        monkeypatch.setattr(yieldcast.data.store.Store, "open", fail)
        refused(call("status", "--store", tmp_path), code)


@pytest.mark.slow
def test_another_country_with_its_own_calendar_and_codes(call, tmp_path):
    tables, text = foreign()
    synthetic.write_files(tmp_path, tables)
    (tmp_path / "calendar.csv").write_text(text)
    (tmp_path / "c.toml").write_text(TINY_NETWORK + '[data]\ncalendar = "calendar.csv"\n')
    assert call("import", *options(tmp_path, tmp_path / "store"))[0] == 0
    train = ("train", "--store", tmp_path / "store", "--crop", "soybean", "--train-years", "2011:2016")
    train += ("--preset", "paper")
    run = tmp_path / "run"
    code, _, err = call(*train, "--seeds", 1, "--config", tmp_path / "c.toml", "--out", run)
    assert (code, err) == (0, "")
    assert json.loads((run / "run.json").read_text())["identity"]["steps"] == 8
    code, out, err = call("evaluate", run, "--store", tmp_path / "store", "--test-years", "2017,2018")
    assert (code, err) == (0, "")
    assert "year by year" in out
    where = ("--calendar", tmp_path / "calendar.csv", "--harvest-year", "2018")
    assert call("calendar", "sunflower", "--state", "AR-X", *where)[1].startswith("2017-09 ... 2018-03")


@pytest.mark.parametrize(
    ("text", "years"),
    [("2018", [2018]), ("2011:2013", [2011, 2012, 2013]), ("2011:2012,2015", [2011, 2012, 2015])],
)
def test_years_as_typed(text, years):
    assert parse_years(text, "--x") == years


@pytest.mark.parametrize("text", ["", "abcd", "2018-2019", "18", "2018:", "2011:20x2"])
def test_years_that_are_not(text):
    with pytest.raises(ConfigError):
        parse_years(text, "--x")


def test_time_left_falls_to_nothing():
    from yieldcast.cli.progress import TimeLeft, clock

    left = TimeLeft(members=3, max_epochs=100, began=0.0)
    # Two members side by side, 0.5 s per epoch of each: 90 + 90 of them and 100 of the third can come.
    for epoch in range(1, 11):
        left.after(1, epoch, False, epoch - 0.5)
        seconds = left.after(2, epoch, False, epoch)
    assert seconds == pytest.approx(0.5 * 280)
    assert left.running == [1, 2]
    # The first stops after 11: as many are expected of the others, 1 and 11.
    assert left.after(1, 11, True, 10.5) == pytest.approx(0.5 * 12)
    # The third was kept at epoch 9 and goes on from there; only epochs run here count in the pace.
    assert left.after(3, 10, False, 11.0) == pytest.approx(0.5 * 2)
    left.after(2, 11, True, 11.5)
    assert left.after(3, 11, True, 12.0) == 0
    assert clock(3725) == "1:02:05"


def test_estimates_and_daily_weather_are_added_to_a_store(call, files, small, tmp_path):
    store, state = tmp_path / "store", str(small.static["state"].values[0])
    lspa, days, places = tmp_path / "lspa.csv", tmp_path / "days.nc", tmp_path / "places.csv"
    header = "crop,harvest_year,state,estimate_month,public_from,yield_kg_ha\n"
    lspa.write_text(f"{header}soybean,2016,{state},2016-01,2016-02-15,3000\n")
    table = pd.read_csv(files / "places.csv", dtype=str).assign(region_code="7")
    table.to_csv(places, index=False)
    time = pd.date_range("2016-01-01", periods=40)
    values = np.full((1, 40), 10.0)
    names = ("tmax_degC", "tmin_degC", "precipitation_mm")
    arrays = dict.fromkeys(names, (("region_code", "time"), values))
    xr.Dataset(arrays, {"region_code": [7], "time": time}).to_netcdf(days, engine="h5netcdf")
    added = ("--estimates", lspa, "--daily-weather", days)
    refused(call("import", "--store", store, *added), 3, "no data store")
    refused(call("import", "--store", store), 2, "--places, --yields and --weather; none of them")
    refused(call("import", "--store", store, "--places", places), 2, "only some of them")
    assert call("import", *options(files, store), "--estimates", lspa)[0] == 0
    refused(call("import", "--store", store, *added), 2, "--places")
    code, out, _ = call("import", "--store", store, *added, "--places", places)
    assert code == 0
    assert "lspa: estimates" in out
    opened = Store.open(store)
    assert opened.daily["municipality_unit"].values.tolist() == [0] * 24
    assert opened.estimates.sizes["estimate"] == 1
    lspa.write_text(f"{header}soybean,2016,{state},2016-01,2016-02-15,3100\n")
    assert call("import", *options(files, store), "--estimates", lspa, "--estimates-source", "ibge")[0] == 0
    assert call("import", "--store", store, "--estimates", lspa)[0] == 0
    kept = Store.open(store)
    assert kept.estimates["yield_kg_ha"].values.tolist() == [3100, 3000, 3100]  # ibge, lspa and its revision
    assert "daily" not in kept  # an import of all tables replaces what can be had again
    shown = " ".join(call("status", "--store", store)[1].split())
    assert "estimates" in shown
    assert "1 revisions" in shown
    lspa.write_text(f"{header}soybean,2016,XX,2016-01,2016-02-15,3100\n")
    refused(call("import", "--store", store, "--estimates", lspa), 5, "XX", state)
    assert Store.open(store).fingerprints == kept.fingerprints


def test_import_check_shows_every_fault_and_exits_5(call, files, tmp_path):
    given = ["--places", files / "places.csv", "--yields", files / "places.csv", "--weather", files / "no.nc"]
    found = tmp_path / "found.json"
    code, out, err = call("import", "--store", tmp_path / "store", *given, "--check", "--json", found)
    assert (code, err) == (5, "")
    assert "REFUSED yields" in out
    assert "REFUSED weather" in out
    assert "2 files are refused; nothing was written" in out
    assert not (tmp_path / "store").exists()
    assert [fault["table"] for fault in json.loads(found.read_text())["faults"]] == ["yields", "weather"]
    code, out, _ = call("import", *options(files, tmp_path / "store"), "--check")
    assert code == 0
    assert "every file is accepted" in out
    assert call("import", *options(files, tmp_path / "store"), "--json", found)[0] == 0
    assert json.loads(found.read_text())["written"] is True
