"""`SampleSet`: what models are trained and applied on, arrays in physical units with their names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from yieldcast.data.summary import number_spans, or_fault, some_names, summary_html, summary_text
from yieldcast.errors import SchemaError
from yieldcast.variables import SOIL


@dataclass(frozen=True, repr=False)
class SampleSet:
    """Samples, one row per municipality and harvest year, as arrays in physical units.

    Args:
        dynamic: (sample, step, variable), the weather of each month of the season window; no NaN.
        static: (sample, feature), NaN where soil is missing.
        target_kg_ha: (sample,) yield, NaN where unknown.
        municipality, harvest_year, state: (sample,).
        window_end: (sample,) last day of the season window.
        dynamic_names, static_names: names, with units, of variables and features.
    """

    dynamic: npt.NDArray[np.float32]
    static: npt.NDArray[np.float32]
    target_kg_ha: npt.NDArray[np.float32]
    municipality: npt.NDArray[np.int32]
    harvest_year: npt.NDArray[np.int16]
    state: npt.NDArray[np.str_]
    window_end: npt.NDArray[np.datetime64]
    dynamic_names: tuple[str, ...]
    static_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.target_kg_ha)

    def __repr__(self) -> str:
        return summary_text(*self._summary())

    def _repr_html_(self) -> str:
        return summary_html(*self._summary())

    def _summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Title and rows: sizes, years, names with units, target, missing soil."""
        places, states = (len(set(array.tolist())) for array in (self.municipality, self.state))
        size = " steps (months) x ".join(map(str, self.dynamic.shape[1:]))
        return f"SampleSet of {len(self):,} rows (one municipality and harvest year each)", [
            ("places", f"{places:,} municipalities in {states} states"),
            ("harvest years", number_spans(self.harvest_year)),
            ("weather", f"{size} variables: {some_names(self.dynamic_names)}"),
            ("static", f"{len(self.static_names)} features: {some_names(self.static_names)}"),
            ("target", or_fault(self._target)),
            ("missing soil", or_fault(self._missing_soil)),
        ]

    def _target(self) -> str:
        known = self.target_kg_ha[np.isfinite(self.target_kg_ha)].astype(np.float64)
        lost = len(self) - known.size
        if not known.size:
            return "unknown in all rows"
        text = f"mean {known.mean():,.0f} kg/ha, {known.min():,.0f} to {known.max():,.0f}"
        return f"{text}; unknown in {lost:,} rows" if lost else text

    def _missing_soil(self) -> str:
        soil = [k for k, name in enumerate(self.static_names) if name.startswith(tuple(SOIL))]
        if not soil:
            return "no soil among the features"
        return f"{int(np.isnan(self.static[:, soil]).any(axis=1).sum()):,} of {len(self):,} rows"

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> SampleSet:
        """The rows of a boolean mask or of indices."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        arrays: dict[str, Any] = {name: v[rows] for name, v in values if isinstance(v, np.ndarray)}
        return replace(self, **arrays)

    @staticmethod
    def join(parts: Sequence[SampleSet]) -> SampleSet:
        """The rows of all parts, one part after the other.

        Raises:
            SchemaError: no parts, or parts with other inputs.
        """
        inputs = {(part.dynamic_names, part.static_names, part.dynamic.shape[1]) for part in parts}
        if len(inputs) != 1:
            raise SchemaError(f"expected parts with the same inputs, received {len(inputs)} kinds of inputs")
        names = [f.name for f in fields(parts[0]) if isinstance(getattr(parts[0], f.name), np.ndarray)]
        arrays: dict[str, Any] = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
        return replace(parts[0], **arrays)

    def flat(self) -> npt.NDArray[np.float32]:
        """All inputs in one matrix, (sample, step x variable + feature), for trees and ridge regression."""
        return np.concatenate([self.dynamic.reshape(len(self), -1), self.static], axis=1)

    def fingerprint(self) -> str:
        """SHA-256 of all arrays and names: equal rows have equal fingerprints on all machines."""
        digest = hashlib.sha256()
        for f in fields(self):
            value = getattr(self, f.name)
            array = np.asarray(value)
            text = array.dtype.kind in "UM"
            digest.update(f.name.encode())
            digest.update("\n".join(array.astype(str).tolist()).encode() if text else array.tobytes())
        return digest.hexdigest()
