"""Every script of experiments/ starts, and the old names of the two jobs still do what they did."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from factories import TINY_NETWORK

from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.operations.bulletins import newest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SCRIPTS = [
    path
    for path in sorted(EXPERIMENTS.rglob("*.py"))
    if "--help" not in (text := path.read_text(encoding="utf-8")) and "ArgumentParser(" in text
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_have_help_and_name_themselves(path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)  # dataclasses look their module up there
    spec.loader.exec_module(script)
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {path.name}")
    assert f"python {path.relative_to(EXPERIMENTS.parent)} " in script.__doc__


@pytest.mark.slow
def test_the_job_scripts_take_the_options_of_before(tmp_path):
    tables = synthetic.country(seed=5, municipalities=24, first_harvest_year=2001, harvest_years=16)
    Store.write(tmp_path / "store", tables, {})
    (tmp_path / "tiny.toml").write_text(TINY_NETWORK + 'validation = "each_year"\n')
    common = [
        "--store",
        "store",
        "--crop",
        "soybean",
        "--issues",
        "issues",
        "--runs",
        "runs",
        "--seeds",
        "3",
        "--offline",
    ]

    def run(script, *more):
        command = [sys.executable, str(EXPERIMENTS / script), *common, *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    code, out, err = run("inseason_update.py", "--as-of", "2016-03-20")
    assert (code, out) == (6, "")
    assert "Error: no run in runs" in err
    code, out, err = run("preseason_forecast.py", "--as-of", "2015-09-15", "--config", "tiny.toml")
    assert code == 0, err
    assert out.splitlines()[0] == "soybean 2016 as of 2015-09-15: issues/soybean-2016/2015-09-15"
    assert "note: --issues is now called --bulletins" in err
    code, out, err = run("inseason_update.py", "--as-of", "2016-03-20")
    assert (code, newest(tmp_path / "issues", "soybean", 2016).name) == (0, "2016-03-20"), err
