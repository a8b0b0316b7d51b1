from pathlib import Path

import pytest

from yieldcast import config

FOLDER = Path(__file__).parents[2] / "experiments" / "configs"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_valid(path):
    assert config.read_settings(path)


def test_the_papers_file_states_the_defaults():
    assert config.read_settings(FOLDER / "paper.toml") == config.Settings()
