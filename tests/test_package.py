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
# Nothing of the checkout: neither for the installed program nor for pip, which would take it for installed.
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "200"}


def outside(command, check=True, **options):
    """A finished command that finds nothing of the checkout."""
    options = {"env": OUTSIDE, **options}
    return subprocess.run(command, capture_output=True, text=True, check=check, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    outside(command)
    (path,) = folder.glob("yieldcast-*.whl")
    return path


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory):
    """`yieldcast` of a fresh virtual environment that holds the wheel and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    outside([sys.executable, "-m", "venv", str(folder / "venv")])
    pinned = ["-c", str(ROOT / "requirements.lock")]
    probe = [*pip, "download", "--quiet", "--no-deps", "-d", str(folder), *pinned, "typer"]
    if outside(probe, check=False).returncode:
        pytest.skip("pip reaches no package index")
    done = outside([*pip, "install", "--quiet", *pinned, str(wheel)], check=False)
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin" / "yieldcast"


@pytest.fixture(scope="module")
def extra(program, wheel, tmp_path_factory):
    """Install one extra into a folder of its own; returns the folder."""

    def install(name):
        folder = tmp_path_factory.mktemp(f"extra-{name}")
        pip = [str(program.with_name("python")), "-m", "pip", "--disable-pip-version-check", "install"]
        pinned = ["--quiet", "-c", str(ROOT / "requirements.lock")]
        report = [*pip, *pinned, "--dry-run", "--report", "-", f"{wheel}[{name}]"]
        wanted = json.loads(outside(report).stdout)
        packages = [f"{p['metadata']['name']}=={p['metadata']['version']}" for p in wanted["install"]]
        others = [package for package in packages if not package.startswith("yieldcast==")]
        assert others, f"the wheel alone has the packages of {name}"
        outside([*pip, *pinned, "--no-deps", "--target", str(folder), *others])
        return folder

    return install


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


def started(program, folder, arguments, packages=""):
    """A finished command, run in a folder without the checkout; `packages` is one more folder of packages."""
    environment = {**OUTSIDE, "PYTHONPATH": str(packages)}
    return outside([str(program), *arguments.split()], check=False, cwd=folder, timeout=300, env=environment)


def call(program, folder, arguments, packages=""):
    """Output of a command that must succeed without a word on stderr."""
    done = started(program, folder, arguments, packages)
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
        "yieldcast/workspace/server/static/page.css",
        "yieldcast/workspace/server/static/page.js",
        "yieldcast/workspace/server/templates/base.html",
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
    out = outside([python, "-c", code], cwd=country).stdout
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


def test_every_command_explains_itself(program, country):
    code = """
from typer.main import get_command
from typer.testing import CliRunner
from yieldcast.cli.app import app

def names(group, before=()):
    for name, command in group.commands.items():
        yield from names(command, (*before, name)) if hasattr(command, "commands") else [(*before, name)]

found = list(names(get_command(app)))
for path in found:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0 and "Usage" in result.output, path
print(len(found))
"""
    out = outside([program.with_name("python"), "-c", code], cwd=country)
    assert int(out.stdout) >= 12


def test_each_extra_alone_brings_what_its_message_says(program, country, extra):
    """With `geo` a GeoPackage and no XLSX, with `report` the other way round; `scale` brings Dask."""
    forecast = "forecast RUN --store STORE --harvest-year 2016 --as-of 2015-11-20 --out"
    for name, brings, lacks in (("geo", "forecast.gpkg", "report"), ("report", "forecast.xlsx", "geo")):
        out = call(program, country, f"{forecast} WITH-{name}", packages=extra(name))
        assert f"pip install 'yieldcast[{lacks}]'" in out
        assert f"pip install 'yieldcast[{name}]'" not in out
        assert (country / f"WITH-{name}" / "soybean-2016" / "2015-11-20" / brings).exists()
    backtest = (
        "backtest --store STORE --crop soybean --seeds 0 --test-years 2016 --out W --dask tcp://127.0.0.1:9"
    )
    alone = started(program, country, backtest)
    assert (alone.returncode, "pip install 'yieldcast[scale]'" in alone.stderr) == (2, True)
    with_dask = started(program, country, backtest, packages=extra("scale"))
    assert (with_dask.returncode, "no scheduler at tcp://127.0.0.1:9" in with_dask.stderr) == (2, True)


_OLDER = """
from pathlib import Path
from sqlalchemy import text
from yieldcast.workspace.directory import Workspace, create
from yieldcast.workspace.settings import WorkspaceSettings

create(Path("W"), WorkspaceSettings(), lambda folder: (folder / "task.json").write_text("{}"))
with Workspace.open(Path("W")) as workspace, workspace.database.transaction() as connection:
    connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    for act in ("update", "delete"):
        connection.execute(text(f"DROP TRIGGER audit_no_{act}"))
Workspace.open(Path("W"), notice=print).close()
"""


def test_the_installed_wheel_makes_and_upgrades_the_database_of_a_workspace(program, extra, tmp_path):
    environment = {**OUTSIDE, "PYTHONPATH": str(extra("workspace"))}
    command = [str(program.with_name("python")), "-W", "error", "-c", _OLDER]
    done = outside(command, check=False, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the database is of the form 0001: it is upgraded to 0002\n"
