"""How large a part will be, for a dry run: like its siblings on the shelf, or a rule of thumb."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

from data_fetchers.parts import Part

# Bytes per part before any of its kind has arrived, by the beginning of the source's and part's names. From
# the sizes that the services' reference states or that answers of the same shape had here; good to a factor
# of three, and replaced by the median of what has arrived as soon as something has.
_ROUGH: tuple[tuple[str, float], ...] = (
    ("ibge/places", 4e6),
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


def estimated_bytes(part: Part, folder: Path) -> float:
    """Bytes that a part will have on disk.

    Args:
        part: not yet fetched.
        folder: of all shelves; siblings there decide.
    """
    kind = re.split(r"[-.]\d", part.name)[0]
    sizes = [_size(path) for path in (folder / part.source).glob(f"{kind}*.meta.json")]
    known = [size for size in sizes if size > 0]
    if known:
        return float(median(known))
    name = f"{part.source}/{part.name}"
    return next((size for start, size in _ROUGH if name.startswith(start)), _OTHERWISE)


def _size(sidecar: Path) -> int:
    try:
        return int(json.loads(sidecar.read_text(encoding="utf-8")).get("bytes", 0))
    except (OSError, ValueError):
        return 0
