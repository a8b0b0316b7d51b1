"""How large a part will be, for a dry run: like its siblings on the shelf, or a rule of thumb."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

from data_fetchers.engine.cache import Request

# Bytes per part before any of its kind has arrived, by the beginning of the source's and part's names. From
# the sizes that the services' reference states or that answers of the same shape had here; good to a factor
# of three, and replaced by the median of what has arrived as soon as something has.
_ROUGH: tuple[tuple[str, float], ...] = (
    ("ibge/localidades", 4e6),
    ("ibge/centroids", 2e6),
    ("ibge/mesh", 2e6),
    ("ibge/pam", 9e6),
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
    """Sizes of parts that are not here yet.

    Args:
        folder: of all shelves; siblings there decide.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, float]] = {}

    def of(self, part: Request) -> float:
        """Bytes that a part will have on disk."""
        if part.source not in self._known:
            self._known[part.source] = _medians(self.folder / part.source)
        name = f"{part.source}/{part.name}"
        rough = next((size for start, size in _ROUGH if name.startswith(start)), _OTHERWISE)
        return self._known[part.source].get(_kind(part.name), rough)


def _kind(name: str) -> str:
    """Parts whose names differ in numbers only are of one kind: a year is not a month."""
    return re.sub(r"\d+", "0", name)


def _medians(shelf: Path) -> dict[str, float]:
    sizes: dict[str, list[int]] = {}
    for path in shelf.glob("*.meta.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            sizes.setdefault(_kind(record["name"]), []).append(int(record["bytes"]))
        except (OSError, ValueError, KeyError):
            continue
    return {kind: float(median(known)) for kind, known in sizes.items()}
