"""Data augmentation: training seasons cut at a random month and completed with the weather of another year.

Before the harvest only the first months of a season are known; scenarios complete it. A network trained only
on complete seasons would rely on months that a forecast does not know. Therefore each training row is mixed
anew for every batch: the month to cut at, the year of the other months, and one of the possible lags of the
yield history are drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from yieldcast.errors import ConfigError
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import Source

Tensor = Any
DRAWS = 4  # random numbers per row: whether it is cut, the month, the other year, the lag


@dataclass(frozen=True)
class SeasonMixer:
    """Weather and static inputs from which training seasons are mixed; shared by all members.

    Args:
        bank: (place, year, step, variable) monthly weather, not accumulated; no NaN in the years `fills`.
        normal: (place, step, variable) climatology subtracted after accumulating; zeros if inputs are values.
        place, year: (sample,) position of the season of each row in the bank.
        fills: (k,) positions of the years that may complete a season; never the year of the row itself.
        static: (lag, sample, feature), the static inputs with the yield history at each possible lag.
        accumulated: position of the variable that is summed from planting on.
    """

    bank: npt.NDArray[np.float32]
    normal: npt.NDArray[np.float32]
    place: npt.NDArray[np.int32]
    year: npt.NDArray[np.int32]
    fills: npt.NDArray[np.int32]
    static: npt.NDArray[np.float32]
    accumulated: int

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that `mix_seasons` needs, by name."""
        summed = np.arange(self.bank.shape[-1]) == self.accumulated
        # Position of the year of each row in `fills`; one past the end if it is not one of them.
        own = np.searchsorted(self.fills, self.year)
        found = self.fills[np.minimum(own, len(self.fills) - 1)] == self.year
        return {
            "bank": self.bank, "normal": self.normal, "place": self.place, "year": self.year,
            "fills": self.fills, "own_fill": np.where(found, own, len(self.fills)).astype(np.int32),
            "static": self.static, "summed": summed.astype(np.float32),
        }  # fmt: skip


def mix_seasons(data: dict[str, Tensor], rows: Tensor, drawn: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Weather (member, row, step, variable) and static inputs (member, row, feature) of a batch.

    Args:
        data: from `SeasonMixer.arrays`.
        rows: (member, row) int32, positions of training rows.
        drawn: (member, row, `DRAWS`) random numbers from 0 to 1.
        share: share of the rows that are cut; the others keep their whole season.
    """
    from keras import ops  # not at the top: the inputs of a forecast are computed without TensorFlow

    steps, fills, lags = int(data["bank"].shape[2]), int(data["fills"].shape[0]), int(data["static"].shape[0])
    place, year = (ops.take(data[name], rows, axis=0) for name in ("place", "year"))
    known = _whole(drawn[..., 1], steps)  # months that cut rows keep: 0 to steps - 1
    known = ops.where(drawn[..., 0] < share, known, steps)
    own = ops.take(data["own_fill"], rows, axis=0)
    other = _whole(drawn[..., 2], fills - ops.cast(own < fills, "int32"))
    other = ops.take(data["fills"], other + ops.cast(other >= own, "int32"), axis=0)
    years = int(data["bank"].shape[1])
    flat = ops.reshape(data["bank"], (-1, *data["bank"].shape[2:]))
    mine, theirs = (ops.take(flat, place * years + which, axis=0) for which in (year, other))
    before = ops.cast(np.arange(steps, dtype=np.int32) < known[..., None], "float32")[..., None]
    weather = accumulate(mine * before + theirs * (1.0 - before), data["summed"])
    weather = weather - ops.take(data["normal"], place, axis=0)
    count = int(data["static"].shape[1])
    statics = ops.reshape(data["static"], (-1, data["static"].shape[2]))
    return weather, ops.take(statics, _whole(drawn[..., 3], lags) * count + rows, axis=0)


def accumulate(weather: Tensor, summed: Tensor) -> Tensor:
    """Some variables summed from the first month on (`weather.accumulate_in_place` for tensors).

    Args:
        weather: (..., step, variable).
        summed: (variable,) 1 for those to sum, else 0.
    """
    from keras import ops

    return weather * (1.0 - summed) + ops.cumsum(weather, axis=-2) * summed


def _whole(drawn: Tensor, count: Tensor) -> Tensor:
    """Numbers from 0 to 1 as whole numbers from 0 to count - 1."""
    from keras import ops

    return ops.minimum(ops.cast(drawn * ops.cast(count, "float32"), "int32"), count - 1)


def season_mixer(source: Source, rows: SampleSet, lags: tuple[int, ...], share: float) -> SeasonMixer:
    """The mixer of the seasons of training rows.

    Args:
        source: tables and settings from which the rows were built.
        rows: training rows with complete seasons.
        lags: from `yield_history.possible_lags`; not used without a yield history.
        share: share of the rows to cut, `training.season_cuts`.

    Raises:
        ConfigError: fewer than two years of weather to complete seasons with.
    """
    codes, place = np.unique(rows.municipality, return_inverse=True)
    first = int(source.tables.weather["time"].dt.year.values[0])
    years = np.arange(first, int(rows.harvest_year.max()) + 1, dtype=np.int16)
    index = np.searchsorted(source.tables.static["municipality"].values, codes)
    season = source.cut(np.repeat(index, len(years)), np.tile(years, len(codes)), None)
    bank = season["weather"].values.reshape(len(codes), len(years), season.sizes["step"], -1)
    fills = np.flatnonzero(np.isfinite(bank).all(axis=(0, 2, 3)))
    if share == 0:  # no season is completed
        fills = np.arange(len(years))
    elif len(fills) < 2:
        raise ConfigError(
            f"training.season_cuts needs two years of weather for every place, received {len(fills)}",
            "Import or fetch more years of weather, or set training.season_cuts = 0.",
        )
    normal = source.normals(season.isel(sample=slice(0, None, len(years))), None)
    history = source.settings.yield_history
    static = [source.with_history(rows, lag).static for lag in lags] if history else [rows.static]
    return SeasonMixer(
        bank=np.nan_to_num(bank),
        normal=normal,
        place=place.astype(np.int32),
        year=(rows.harvest_year - years[0]).astype(np.int32),
        fills=fills.astype(np.int32),
        static=np.stack(static),
        accumulated=season["variable"].values.tolist().index(source.weather[1]),
    )
