"""The package as a stranger gets it: a wheel, installed alone, used outside the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from factories import TINY_NETWORK

from yieldcast.data import synthetic
from yieldcast.data.synthetic import synthetic_mesh

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("yieldcast-*.whl")
    return path


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory):
    """`yieldcast` of a fresh virtual environment that holds the wheel and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, capture_output=True)
    pinned = ["-c", str(ROOT / "requirements.lock")]
    probe = [*pip, "download", "--quiet", "--no-deps", "-d", str(folder), *pinned, "typer"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("pip reaches no package index")
    done = subprocess.run(
        [*pip, "install", "--quiet", *pinned, str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin" / "yieldcast"


@pytest.fixture(scope="module")
def country(program, tmp_path_factory):
    """A folder outside the checkout with the files of a small synthetic country and its STORE."""
    folder = tmp_path_factory.mktemp("country")
    tables = synthetic.country(seed=5, municipalities=24, first_harvest_year=2001, harvest_years=16)
    synthetic.write_files(folder, tables)
    columns = ("municipality", "name", "state", "latitude_deg", "longitude_deg")
    mesh = synthetic_mesh(*(tables.static[name].values.tolist() for name in columns))
    (folder / "boundaries.geojson").write_text(json.dumps(mesh))
    (folder / "tiny.toml").write_text(TINY_NETWORK + 'validation = "each_year"\n')
    out = call(
        program, folder, "import --store STORE --places places.csv --yields yields.csv --weather weather.nc "
        "--soil soil.csv --mesh boundaries.geojson",
    )  # fmt: skip
    assert "store written: STORE" in out
    return folder


def call(program, folder, arguments):
    """Output of a command that must succeed without a word on stderr, run in a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(program), *arguments.split()], cwd=folder, env={**environment, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    if not arguments.startswith("job"):  # jobs show their progress there
        assert done.stderr == ""
    return done.stdout


def test_the_wheel_holds_the_three_packages_and_their_data(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {
        "yieldcast/cli/app.py",
        "yieldcast/py.typed",
        "yieldcast/reporting/web/report.html",
        "yieldcast/reporting/web/report.css",
        "yieldcast/reporting/web/main.js",
        "calendars/data/brazil/calendar.csv",
        "calendars/data/brazil/country.toml",
        "calendars/data/brazil/second_crops.csv",
        "calendars/data/SOURCES.md",
        "data_fetchers/__init__.py",
    } <= names
    modules = {str(p.relative_to(ROOT)) for p in ROOT.glob("*/**/*.py") if "__pycache__" not in p.parts}
    shipped = {name for name in modules if name.startswith(("yieldcast/", "data_fetchers/", "calendars/"))}
    assert {name for name in names if name.endswith(".py")} == shipped


def test_the_installed_package_is_not_the_checkout(program, country):
    code = "import calendars, yieldcast; print(yieldcast.__file__, calendars.__file__, yieldcast.__version__)"
    python = program.with_name("python")
    out = subprocess.run([python, "-c", code], cwd=country, check=True, capture_output=True, text=True).stdout
    assert str(ROOT) not in out
    assert "site-packages" in out


def test_from_import_to_report_and_backtest(program, country):
    assert "2001-2016" in call(program, country, "status --store STORE")
    assert call(program, country, "calendar soybean --state MT --harvest-year 2016").startswith("2015-09 ...")
    common = "--store STORE --crop soybean --seeds 4 --config tiny.toml"
    out = call(program, country, f"train {common} --train-years 2010:2013 --out RUN")
    assert "4 members of synthetic soybean" in out
    call(program, country, "evaluate RUN --store STORE --test-years 2014:2015 --json scores.json")
    assert json.loads((country / "scores.json").read_text())["test_years"] == [2014, 2015]
    out = call(
        program, country, f"backtest {common} --test-years 2016 --leads 6 --json skill.json --out WORK"
    )
    assert {row["lead_months"] for row in json.loads((country / "skill.json").read_text())} == {6}
    assert "no plot: a figure needs matplotlib" in out
    for date in ("2015-09-15", "2016-02-20"):
        out = call(
            program, country, f"forecast RUN --store STORE --harvest-year 2016 --as-of {date} "
            "--out BULLETINS --skill skill.json",
        )  # fmt: skip
        # these two formats need extras, which a wheel alone does not bring
        assert "pip install 'yieldcast[report]'" in out
        assert "pip install 'yieldcast[geo]'" in out
    check_bulletin(country / "BULLETINS" / "soybean-2016" / "2016-02-20")


def check_bulletin(folder):
    """A bulletin that was written without the extras."""
    names = {path.name for path in folder.iterdir()}
    assert {"forecast.nc", "forecast.csv", "forecast.geojson", "report.html", "changes.json"} <= names
    assert names.isdisjoint({"forecast.xlsx", "forecast.gpkg"})
    page = (folder / "report.html").read_text(encoding="utf-8")
    web = ROOT / "yieldcast" / "reporting" / "web"
    assert all(script.read_text(encoding="utf-8").strip() in page for script in web.glob("*.js"))
    assert (web / "report.css").read_text(encoding="utf-8").strip() in page
    data = json.loads(
        page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    )
    assert data["mesh"] is not None


def test_the_scheduled_jobs(program, country):
    common = "--store STORE --crop soybean --bulletins JOBS --runs RUNS --seeds 4 --offline"
    out = call(program, country, f"job preseason {common} --config tiny.toml --as-of 2015-09-15")
    assert out.splitlines()[0] == "soybean 2016 as of 2015-09-15: JOBS/soybean-2016/2015-09-15"
    assert call(program, country, f"job preseason {common} --config tiny.toml --as-of 2015-09-20").startswith(
        "nothing new since the bulletin"
    )
    out = call(program, country, f"job inseason {common} --as-of 2016-03-20")
    assert "Compared with the bulletin as of 2015-09-15" in out
    check_bulletin(country / "JOBS" / "soybean-2016" / "2016-03-20")
