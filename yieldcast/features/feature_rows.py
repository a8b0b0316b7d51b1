"""Rows of named features of places and seasons as known on a cut-off day, for classifiers and probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError

Group = Literal["weather", "vegetation", "soil", "place", "history"]


@dataclass(frozen=True)
class Feature:
    """What one feature is.

    Args:
        name: with its unit, for example ``precipitation_30d_mm``.
        group: the group that an ablation removes together.
        unit: for readers; "1" for a share or a number.
        window: the days that it is computed from, for example "30 days before the cut-off".
        meaning: one line, in English; translated where it is shown.
    """

    name: str
    group: Group
    unit: str
    window: str
    meaning: str


@dataclass(frozen=True)
class FeatureRows:
    """Features of places and harvest years, each as known at the end of its cut-off day.

    Args:
        values: (row, feature) float64; NaN where unknown.
        features: of the columns, names all different.
        municipality: (row,) int32 codes of places: municipalities, or fields.
        harvest_year: (row,) int16.
        state: (row,) text.
        cutoff: (row,) datetime64[D], the last day from which a value may come.
        yield_kg_ha: (row,) float64; NaN where it is not known.
        latitude_deg, longitude_deg: (row,) float64.
        left_out: what is not in the rows, counted by reason: observations, seasons and features.
    """

    values: NDArray[np.float64]
    features: tuple[Feature, ...]
    municipality: NDArray[np.int32]
    harvest_year: NDArray[np.int16]
    state: NDArray[np.str_]
    cutoff: NDArray[np.datetime64]
    yield_kg_ha: NDArray[np.float64]
    latitude_deg: NDArray[np.float64]
    longitude_deg: NDArray[np.float64]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, names = len(self.values), self.names
        lengths = {len(getattr(self, name)) for name in _COLUMNS}
        if lengths != {rows} or self.values.shape != (rows, len(names)):
            raise SchemaError(
                f"expected {rows} rows of {len(names)} features, received {self.values.shape} values and "
                f"columns of {sorted(lengths)} rows"
            )
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SchemaError(f"expected features with different names, received {', '.join(twice)} twice")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the columns."""
        return tuple(feature.name for feature in self.features)

    def take(self, rows: NDArray[Any]) -> FeatureRows:
        """Some rows, chosen by positions or by a mask."""
        return replace(self, values=self.values[rows], **{n: getattr(self, n)[rows] for n in _COLUMNS})

    def with_yield(self) -> FeatureRows:
        """The rows whose yield is known."""
        return self.take(np.isfinite(self.yield_kg_ha))

    def choose(self, keep: NDArray[np.bool_]) -> FeatureRows:
        """The same rows with some of the features; `keep` is a mask over them."""
        chosen = tuple(feature for feature, kept in zip(self.features, keep, strict=True) if kept)
        return replace(self, values=self.values[:, keep], features=chosen)

    def without_group(self, group: Group) -> FeatureRows:
        """The same rows without the features of a group."""
        return self.choose(np.array([feature.group != group for feature in self.features], dtype=bool))


_COLUMNS = (
    "municipality", "harvest_year", "state", "cutoff", "yield_kg_ha", "latitude_deg", "longitude_deg",
)  # fmt: skip
