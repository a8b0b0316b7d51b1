"""Runs `with_flower.py` in a process that finds Flower, which other commands must not find."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
FLOWER = Path(sys.prefix) / ".federated"


@pytest.mark.slow
@pytest.mark.skipif(not (FLOWER / "flwr").is_dir(), reason="Flower is not installed: make federated")
def test_federations_over_flower() -> None:
    path = os.pathsep.join(map(str, (FLOWER, ROOT)))
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Warnings of Flower's imports are no errors here.
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "ignore"]
    file = Path(__file__).with_name("with_flower.py")
    done = subprocess.run(
        [*words, "-o", "filterwarnings=", file], env=environment, cwd=ROOT, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
