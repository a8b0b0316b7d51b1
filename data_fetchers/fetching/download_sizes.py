"""Estimated download sizes for a dry run: the median of similar cached answers, or a rough value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

from data_fetchers.engine.cache import Request

# Rough size (bytes) of an answer by the start of "source/name", used until a similar answer is cached. From
# the documentation of the services or from test answers of the same shape; right within a factor of three.
_ROUGH: tuple[tuple[str, float], ...] = (
    ("ibge/localidades", 4e6),
    ("ibge/centroids", 2e6),
    ("ibge/mesh", 2e6),
    ("ibge/pam", 9e6),
    ("ibge/lspa", 1e5),
    ("ibge/", 2e4),
    ("era5/", 2e7),
    ("era5-land/", 3e7),
    ("seas5/", 4e7),
    ("soilgrids", 2e4),
    ("nasa-power/", 3e5),
    ("conab/", 5e6),
)
_OTHERWISE = 1e6


class Estimates:
    """Estimated sizes of answers that are not cached yet.

    Args:
        folder: of the cached answers of all sources.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, float]] = {}

    def of(self, request: Request) -> float:
        """Estimated size of an answer (bytes)."""
        if request.source not in self._known:
            self._known[request.source] = _medians(self.folder / request.source)
        name = f"{request.source}/{request.name}"
        rough = next((size for start, size in _ROUGH if name.startswith(start)), _OTHERWISE)
        return self._known[request.source].get(_kind(request.name), rough)


def _kind(name: str) -> str:
    """Name with numbers replaced by 0: equal for similar requests (a month is not similar to a year)."""
    return re.sub(r"\d+", "0", name)


def _medians(folder: Path) -> dict[str, float]:
    sizes: dict[str, list[int]] = {}
    for path in folder.glob("*.meta.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            sizes.setdefault(_kind(record["name"]), []).append(int(record["bytes"]))
        except (OSError, ValueError, KeyError):
            continue
    return {kind: float(median(known)) for kind, known in sizes.items()}
