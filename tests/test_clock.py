"""The time is read in one place, which tests freeze."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories import SPECIAL_DAYS

ROOT = Path(__file__).parents[1]
PACKAGES = ("yieldcast", "data_fetchers", "calendars")
# Files whose tests depend on the present day, by what they call.
CLOCK_USERS = (
    "tests/yieldcast/operations/test_bulletins.py",
    "tests/yieldcast/data/test_store_update.py",
    "tests/data_fetchers/test_conab.py",
)


def readings(tree):
    """Calls in a module that read the present time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, of = node.func.attr, ast.unparse(node.func.value)
            if name in ("now", "utcnow", "today") and of.split(".")[-1] in ("datetime", "date"):
                yield f"{of}.{name}"
            if name in ("time", "localtime", "gmtime") and of == "time":
                yield f"{of}.{name}"


def test_only_the_clock_reads_the_time():
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if calls := list(readings(ast.parse(path.read_text(encoding="utf-8")))):
                found[str(path.relative_to(ROOT))] = calls
    assert found == {"yieldcast/clock.py": ["dt.datetime.now"]}


@pytest.mark.slow
@pytest.mark.parametrize("moment", SPECIAL_DAYS, ids=str)
def test_the_users_of_the_clock_on_special_days(moment):
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *CLOCK_USERS]
    env = {**os.environ, "YIELDCAST_TEST_NOW": moment.isoformat()}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
