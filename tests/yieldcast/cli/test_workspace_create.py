import json

import numpy as np
import pytest
from typer.testing import CliRunner

from yieldcast.cli.app import workspace as commands
from yieldcast.errors import ConfigError, LeakageError, YieldcastError
from yieldcast.workspace.database import accounts
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.tasks.task import Task


@pytest.fixture
def tiles(tmp_path):
    """Files of 12 training tiles and 8 of the holdout, in two classes."""
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    labels = np.array(["barley", "wheat"] * 10)
    for name, rows in (("train", slice(0, 12)), ("holdout", slice(12, 20))):
        np.savez(tmp_path / f"{name}.npz", images=images[rows], labels=labels[rows])
    return tmp_path


def create(tiles, *arguments, holdout="holdout.npz", task="crop-tiles"):
    command = [
        "create", str(tiles / "W"), "--task", task, "--data", str(tiles / "train.npz"),
        "--holdout", str(tiles / holdout), *map(str, arguments),
    ]  # fmt: skip
    return CliRunner().invoke(commands.workspace, command, catch_exceptions=False)


def test_a_workspace_is_made_from_tiles_and_settings(tiles):
    rules = tiles / "rules.toml"
    rules.write_text('title = "from the file"\n[rules]\nrare_classes = ["wheat"]\n[limits]\nepochs = 3\n')
    done = create(tiles, "--config", rules, "--title", "Two crops", "--synthetic", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    with Workspace.open(tiles / "W") as workspace:
        assert (workspace.settings.title, workspace.settings.limits.epochs) == ("Two crops", 3)
        task = Task.read(workspace.path)
        assert (task.training, task.holdout, task.rare, task.synthetic) == (12, 8, ("wheat",), True)
        with workspace.read() as session:
            assert accounts.of_token(session, said["token"]).role == "owner"
    for path in (tiles / "W").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("--crop", "soja"), ConfigError, "--crop: not an option of the task crop-tiles"),
        (("--unit", "VV"), ConfigError, "--unit: expected BAND=UNIT"),
        (("--config", "no.toml"), YieldcastError, "no settings file"),
        (("--title", "a\nb"), ConfigError, "title: expected a text of one line"),
        (("--database", "mysql://u:secret@h/n"), ConfigError, "received one of mysql"),
        (("--database", "sqlite:///x.db"), ConfigError, "received one of SQLite"),
    ],
)
def test_wrong_options_make_nothing(tiles, arguments, error, match):
    with pytest.raises(error, match=match) as raised:
        create(tiles, *arguments)
    assert "secret" not in str(raised.value)
    assert sorted(path.name for path in tiles.iterdir()) == ["holdout.npz", "train.npz"]


def test_wrong_data_make_nothing_and_what_is_there_stays(tiles):
    with pytest.raises(LeakageError):
        create(tiles, holdout="train.npz")
    assert sorted(path.name for path in tiles.iterdir()) == ["holdout.npz", "train.npz"]
    (tiles / "W").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        create(tiles)
    assert list((tiles / "W").iterdir()) == []
