"""A country of counties in the northern hemisphere whose states are called like some of Brazil's."""

import datetime as dt
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import yieldcast
from calendars import country
from yieldcast.config import FORECAST_SETTINGS, DataSettings, read_settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store, Tables
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.features.season_dates import calendar_for
from yieldcast.importing.files import UserFiles, import_files
from yieldcast.operations.new_country import write_skeleton

BRAZILIAN = re.compile(
    r"Brazil|Brasil|IBGE|CONAB|SIDRA|\bPAM\b|LSPA|SIRGAS|4674|Mato Grosso|safra|fetch places|município|\bUF\b"
)
STATES = {"NO": "MT", "SO": "MS"}  # Montana and Mississippi, not Mato Grosso


def northern_tables() -> Tables:
    """The synthetic northern country as if it were real, with the states MT and MS and without areas."""
    static, weather, yields = synthetic.northern(municipalities=24, harvest_years=10)
    static["state"] = ("municipality", np.array([STATES[name] for name in static["state"].values]))
    static["name"] = ("municipality", np.array([f"County {code}" for code in static["code"].values]))
    weather = weather.where(weather["time"] < np.datetime64("2019-06-01"), drop=True)
    yields = yields[["yield_kg_ha"]].sel(harvest_year=slice(None, 2018))
    for table in (static, weather, yields):
        table.attrs = {}
    return Tables(static, weather, yields)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The user's files: tables, and a country.toml made from the skeleton."""
    folder = tmp_path_factory.mktemp("northland")
    write_skeleton(folder)
    tables = northern_tables()
    synthetic.write_files(folder, tables)
    for name in ("country.toml", "calendar.csv"):
        text = (folder / name).read_text()
        for old, new in STATES.items():
            text = re.sub(rf"^{old}\b", new, text, flags=re.MULTILINE)
        (folder / name).write_text(text.replace("Norland", "Northland"))
    mesh = folder / "mesh.geojson"
    columns = ("code", "name", "state", "latitude_deg", "longitude_deg")
    mesh.write_text(
        json.dumps(synthetic.synthetic_mesh(*(tables.static[name].values.tolist() for name in columns)))
    )
    names = ("places.csv", "yields.csv", "weather.nc", "soil.csv")
    return UserFiles(*(folder / name for name in names), mesh, country=str(folder / "country.toml"))


@pytest.fixture(scope="module")
def store(files, tmp_path_factory):
    """The store of the files."""
    return import_files(tmp_path_factory.mktemp("store"), files)[0]


def test_a_store_knows_its_country(store, files):
    again = Store.open(store.path).country
    assert (again.name, again.epsg, again.states["MT"].name) == ("Northland", 4326, "North")
    calendar = calendar_for(DataSettings(), store.static, again)
    assert str(calendar.window("soybean", "MT", 2018)[0]) == "2018-05"
    assert again.second_crops("corn") == {}
    # A table that is replaced later leaves the country as it is.
    updated = Store.update(store.path, {"yields": store.yields}, {})
    assert updated.country.name == "Northland"


def test_the_delays_are_those_of_the_country_unless_they_were_set(store, tmp_path):
    rule = FORECAST_SETTINGS.for_country(store.country)
    # [publication.yields] months = 2, and 2016 on a day of its own
    assert rule.data.publication().yields_public(2018) == dt.date(2019, 3, 1)
    assert rule.data.publication().yields_public(2016) == dt.date(2017, 3, 10)
    assert rule.data.publication().yields_public(2014) == dt.date(2015, 3, 1)  # not PAM's day
    assert rule.for_country(store.country) == rule
    (tmp_path / "own.toml").write_text("[data]\nyields_delay_months = 4\n")
    own = read_settings(tmp_path / "own.toml").for_country(store.country)
    assert own.data.publication().yields_public(2018) == dt.date(2019, 5, 1)
    assert own.data.weather_delay_days == 5  # of the country
    default = FORECAST_SETTINGS.for_country(country.default())
    assert default is FORECAST_SETTINGS
    assert default.data.publication().yields_public(2018) == dt.date(2019, 9, 5)


def test_without_a_country_the_states_of_the_same_name_get_no_calendar(files, tmp_path):
    written, read = import_files(tmp_path / "store", replace(files, country=None))
    assert written.country == country.UNKNOWN
    assert any("--country" in text for _, text, _ in read.log.warnings)
    with pytest.raises(ConfigError, match="does not say which country") as caught:
        calendar_for(DataSettings(), written.static, written.country)
    assert "--country country.toml" in caught.value.hint
    assert not BRAZILIAN.search(str(caught.value) + caught.value.hint)


def test_a_state_that_the_country_does_not_list_is_refused(files, tmp_path):
    text = Path(files.country).read_text().replace("MS = {", "XX = {")
    (tmp_path / "country.toml").write_text(text)
    (tmp_path / "calendar.csv").write_text((Path(files.country).parent / "calendar.csv").read_text())
    with pytest.raises(SchemaError, match=r"expected states of Northland \(MT, XX\), received 'MS'"):
        import_files(tmp_path / "store", replace(files, country=str(tmp_path)))
    assert not (tmp_path / "store").exists()


# Where the core may name Brazil, and why. Names in the catalogue of Portuguese are for readers in Brazil.
ALLOWED = {
    "data/synthetic.py": "the demonstration country is made like Brazil",
    "data/synthetic_fields.py": "the demonstration fields lie in Brazil",
    "cli/tables.py": "help of --country names the built-in country",
    "cli/fetch.py": "the help of the fetchers names what they fetch",
    "cli/views/store.py": "what a fetch of yields found missing, named by its service",
    "forecasting/posterior.py": "source of a constant that was measured on Brazil's estimates",
    "importing/": "symbols, layouts and units of the files of IBGE and CONAB, which can be imported",
    "reporting/tables.py": "source of the digits",
    "variables.py": "source of the largest yield",
}
CORE = re.compile(r"Brazil|IBGE|CONAB|Conab|SIDRA|\bPAM\b|LSPA|SIRGAS|4674|Mato Grosso|Cerrado")


def test_the_core_names_no_brazilian_state_service_or_crop_elsewhere():
    root = Path(yieldcast.__file__).parent
    named = {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.suffix in (".py", ".js", ".html", ".css") and CORE.search(path.read_text(encoding="utf-8"))
    }
    found = {name: [known for known in ALLOWED if name.startswith(known)] for name in named}
    assert [name for name, known in found.items() if not known] == []
    assert {known for allowed in found.values() for known in allowed} == set(ALLOWED)


@pytest.mark.slow
def test_from_import_to_every_export_without_a_word_of_another_country(store, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    call = [sys.executable, str(script), str(store.path), str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not BRAZILIAN.search(done.stdout), done.stdout
    out = tmp_path / "out"
    assert {path.suffix for path in out.iterdir()} >= {".csv", ".json", ".nc", ".geojson", ".xlsx", ".html"}
    for path in sorted(out.iterdir()):
        text = _text(path)
        found = BRAZILIAN.search(text)
        assert not found, f"{path.name}: {text[max(found.start() - 80, 0) : found.end() + 80]}"
    whole = json.loads((out / "forecast.geojson").read_text())
    assert "crs" not in whole  # WGS 84, RFC 7946
    assert whole["country"] == "Northland"
    assert {f["properties"]["area_planted_ha"] for f in whole["features"]} == {None}
    assert "county code" in (out / "report.html").read_text()


def _text(path: Path) -> str:
    """All text of a file; of a workbook that of its parts, of the page without the words of Portuguese."""
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as parts:
            return "".join(parts.read(name).decode("utf-8", "replace") for name in parts.namelist())
    text = path.read_bytes().decode("utf-8", "replace")
    portuguese = r'\{"tag":"pt-BR".*?(?=\{"tag"|\],"previous")'
    return re.sub(portuguese, "", text) if path.suffix == ".html" else text


_RUN = """
import datetime as dt, sys
from pathlib import Path
from yieldcast import FORECAST_SETTINGS, Store, forecast, train_run
from yieldcast.reporting import html
from yieldcast.reporting.export import write_all

store, folder = Store.open(Path(sys.argv[1])), Path(sys.argv[2])
tiny = FORECAST_SETTINGS.training.model_copy(update={"max_epochs": 2})
settings = FORECAST_SETTINGS.model_copy(update={"training": tiny})
run = train_run(store, "soybean", range(2013, 2019), range(1, 4), folder / "run", settings, notice=print)
made = forecast(run, store, 2019, dt.date(2019, 7, 10))
print(made)
out = folder / "out"
write_all(out, made, store.mesh, notice=print)
html.write(out / "report.html", made, store.mesh)
"""
