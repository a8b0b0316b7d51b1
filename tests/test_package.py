"""The package as a stranger gets it: built from the checkout, installed into an empty folder."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_and_their_data(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("yieldcast-*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        content.extractall(tmp_path / "site")
    assert {
        "yieldcast/cli.py",
        "yieldcast/py.typed",
        "yieldcast/web/report.html",
        "yieldcast/web/main.js",
        "calendars/data/brazil.csv",
        "calendars/data/SOURCES.md",
        "data_fetchers/__init__.py",
    } <= names
    assert not any(name.startswith(("tests/", "experiments/")) for name in names)
    code = "import calendars; print(calendars.__file__, calendars.brazil().window('soybean', 'MT', 2018)[0])"
    out = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {code}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert str(tmp_path) in out.stdout
    assert "2017-09" in out.stdout
