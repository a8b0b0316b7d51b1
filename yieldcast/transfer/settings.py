"""Settings and learners of a study of transfer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calendars import Country
from yieldcast.config import DataSettings, NetworkSettings, Settings, TrainingSettings, read_settings
from yieldcast.transfer.learners import BASELINES, Learner, Trees
from yieldcast.transfer.rows import TransferRows, check_settings

if TYPE_CHECKING:
    from yieldcast.features.samples import SampleSet

# The sizes of the preset `forecast`, without what that preset takes from past yields of the place.
TRANSFER_SETTINGS = Settings(
    network=NetworkSettings(
        lstm_units=(16, 16), static_units=(16, 16), head_units=(16,), l2=1e-3, scaling="deviation"
    ),
    training=TrainingSettings(learning_rate=1e-3, max_epochs=60, patience=8, loss="huber"),
    data=DataSettings.model_construct(
        set(), weather_delay_months=0, weather_delay_days=5, yield_releases="country"
    ),
)


def settings_of(config: Path | None, country: Country) -> Settings:
    """Settings of a study: a small network, or those of a file over the preset `paper`.

    Args:
        config: a TOML file; None for the small network.
        country: of the store; gives the days of publication that the file lacks.

    Raises:
        MissingDataError, ConfigError: no such file, or settings that a study cannot use.
    """
    settings = read_settings(config, "paper") if config else TRANSFER_SETTINGS
    check_settings(settings)
    return settings.for_country(country)


def learners(
    names: Sequence[str], rows: TransferRows, settings: Settings, seeds: Sequence[int], folder: Path
) -> tuple[Learner[SampleSet], ...]:
    """The learners of a study, in this order: network, trees, baselines.

    Args:
        names: some of "network", "trees", "baselines".
        rows: of the study.
        settings, seeds: of the network.
        folder: of the study.
    """
    found: list[Learner[SampleSet]] = []
    if "network" in names:
        from yieldcast.transfer.network import NetworkLearner

        found.append(NetworkLearner(rows, settings, seeds, folder))
    if "trees" in names:
        found.append(Trees())
    if "baselines" in names:
        found += BASELINES
    return tuple(found)
