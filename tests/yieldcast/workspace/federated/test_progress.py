"""The state of a federation on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from yieldcast.errors import ConfigError, MissingDataError, RunError
from yieldcast.workspace.federated.progress import FILE, Progress
from yieldcast.workspace.federated.settings import FederationSettings, read_secret

SETTINGS = FederationSettings(rounds=3)
WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0.25], np.float32)]


def test_a_federation_goes_on_after_the_last_finished_round(tmp_path: Path) -> None:
    first = Progress.start_or_resume(tmp_path, SETTINGS, "a" * 64, WEIGHTS)
    assert first.done == 0
    first.weights = [array + 1 for array in WEIGHTS]
    first.add(1, 0.5)
    again = Progress.start_or_resume(tmp_path, SETTINGS, "a" * 64, WEIGHTS)
    assert again.scores == [0.5]
    for kept, array in zip(again.weights, WEIGHTS, strict=True):
        np.testing.assert_array_equal(kept, array + 1)
    with pytest.raises(RunError, match="round 3 ended after round 1"):
        again.add(3, 0.6)


def test_another_federation_in_the_folder_is_not_overwritten(tmp_path: Path) -> None:
    Progress.start_or_resume(tmp_path, SETTINGS, "a" * 64, WEIGHTS).add(1, 0.5)
    for settings, model in ((FederationSettings(rounds=4), "a" * 64), (SETTINGS, "b" * 64)):
        with pytest.raises(ConfigError, match="other settings or another model"):
            Progress.start_or_resume(tmp_path, settings, model, WEIGHTS)
    (tmp_path / FILE).write_bytes(b"PK, but no archive")
    with pytest.raises(RunError, match="cannot be read"):
        Progress.start_or_resume(tmp_path, SETTINGS, "a" * 64, WEIGHTS)


def test_the_secret_is_a_file_of_sixteen_bytes_or_more(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(MissingDataError):
        read_secret(file)
    file.write_text("too short\n")
    with pytest.raises(ConfigError, match="has 9"):
        read_secret(file)
    file.write_text("0123456789abcdef\n")
    assert read_secret(file) == b"0123456789abcdef"
