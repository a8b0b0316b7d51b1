"""A collection of a STAC catalogue as a source: searches, and a request for each image and target."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_fetchers.engine.cache import PendingJob, Record, Request, fetched_on
from data_fetchers.engine.source import RetryableError
from data_fetchers.stac.collections import CATALOGUES, Catalogue, Collection, collection, offset_of
from data_fetchers.stac.grids import Box, Target, box_of, halves, shape_of, touches
from data_fetchers.stac.items import Item, item_of
from data_fetchers.stac.pixels import read_image
from data_fetchers.stac.search import search
from yieldcast.data.files import disk_error
from yieldcast.errors import ConfigError, FetchError

ENVIRONMENT = "YIELDCAST_STAC_URL"  # a catalogue to take where none is named


def addresses() -> dict[str, str]:
    """Name -> address of the catalogues to take where none is named."""
    own = os.environ.get(ENVIRONMENT, "").rstrip("/")
    return {"STAC": own} if own else {f"STAC {name}": one.url for name, one in CATALOGUES.items()}


@dataclass(frozen=True)
class Stac:
    """A collection of a catalogue.

    Args:
        catalogue: name in `CATALOGUES`, or the address of a STAC API whose files are open.
        collection: our name, see `COLLECTIONS`.
        collection_id: its name in a catalogue given by address; ours if empty.
    """

    catalogue: str
    collection: str
    collection_id: str = ""
    workers: int = 4
    seconds_between: float = 0.0

    def __post_init__(self) -> None:
        known = collection(self.collection).ids.get(self.catalogue)
        if self.catalogue in CATALOGUES and known is None and not self.collection_id:
            has = [name for name in CATALOGUES if name in collection(self.collection).ids]
            raise ConfigError(
                f"{self.catalogue} has no {self.collection}", f"Take --catalog {' or '.join(has)}."
            )
        if self.catalogue not in CATALOGUES and not re.match(r"https?://[^/]", self.catalogue):
            raise ConfigError(
                f"expected the name or address of a catalogue, received {self.catalogue}",
                f"Names: {', '.join(CATALOGUES)}; or the root of a STAC API, https://...",
            )
        object.__setattr__(self, "collection_id", self.collection_id or known or self.collection)

    @property
    def about(self) -> Collection:
        """The collection in the table."""
        return collection(self.collection)

    @property
    def api(self) -> Catalogue:
        """The catalogue in the table, or an open one at an address."""
        return CATALOGUES.get(self.catalogue) or Catalogue(self.catalogue.rstrip("/"))

    @property
    def name(self) -> str:
        """Name of the source and of its folder in the cache."""
        return f"stac-{self.collection.lower()}"

    @property
    def licence(self) -> str:
        """Licence of the data."""
        return self.about.licence

    @property
    def attribution(self) -> str:
        """Text that products made with the data must show."""
        return self.about.attribution

    def searches(self, box: Box, first: dt.date, last: dt.date) -> list[Request]:
        """Requests for the items of a box and a season.

        Args:
            box: degrees; one that crosses the 180th meridian is searched in two parts.
            first, last: days, both included; elevation has none.
        """
        days = {} if self.about.static else {"datetime": f"{first}T00:00:00Z/{last}T23:59:59Z"}
        return [
            Request(self.name, "search", {
                "kind": "search", "url": self.api.url,
                "query": {"collections": [self.collection_id], "bbox": [*map(_shortened, part)], **days},
            })
            for part in halves(box)
        ]  # fmt: skip

    def items(self, file: Path) -> list[Item]:
        """The items of a search.

        Raises:
            FetchError: one that cannot be read.
        """
        found = json.loads(file.read_text(encoding="utf-8"))["features"]
        items = [item_of(feature, self.collection, self.about) for feature in found]
        return [one for one in items if one.name.startswith(self.about.prefix)]

    def image_request(self, item: Item, target: Target, bands: Sequence[str]) -> Request | None:
        """Request for the bands of an image over a target; None where they do not touch.

        Raises:
            FetchError: the image lacks an asset, or the processing baseline.
        """
        if item.box is not None and not touches(item.box, box_of(target)):
            return None
        wanted = {band: self.about.bands[band] for band in bands if band in self.about.bands}
        if self.about.flags:
            wanted["flags"] = self.about.flag_assets
        assets = {what: _asset(item, what, names) for what, names in wanted.items()}
        name = re.sub(r"[^a-z0-9._-]+", "-", f"i{item.name.lower()}")[:80]
        return Request(self.name, name, {
            "kind": "image", "url": self.api.url, "item": item.name, "assets": assets, "target": target,
            "offset": offset_of(self.collection, item.properties, item.name), "scale": self.about.scale,
        }, ".npz")  # fmt: skip

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Write the items of a search, or the bands of an image, to `target`."""
        parameters = request.parameters
        facts: Record = {}
        if parameters["kind"] == "search":
            found = {"features": search(parameters["url"], parameters["query"])}
            content: Any = json.dumps(found)
        else:
            content, facts = read_image(parameters, self.about, self.api, self.collection_id)
        try:
            if isinstance(content, str):
                target.write_text(content, encoding="utf-8")
            else:
                with open(target, "wb") as file:
                    np.savez_compressed(file, **content)
        except OSError as error:
            raise disk_error(target, error) from error
        return facts

    def check(self, request: Request, file: Path) -> Record:
        """Check that an answer has what was asked: items, or every band in the shape of the target."""
        if request.parameters["kind"] == "search":
            return {"items": len(json.loads(file.read_text(encoding="utf-8"))["features"])}
        wanted, shape = set(request.parameters["assets"]) - {"flags"}, shape_of(request.parameters["target"])
        shapes = {band: values.shape for band, values in _bands(file).items()}
        if shapes != dict.fromkeys(wanted, shape):
            raise RetryableError(f"{request.name}: expected {sorted(wanted)} of {shape}, received {shapes}")
        return {}

    def split(self, request: Request) -> list[Request]:
        """Always empty: targets are small."""
        return []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """A search of an earlier day: images may have been added or replaced. Images are never stale."""
        return request.parameters["kind"] == "search" and fetched_on(record) < today


def _bands(file: Path) -> Mapping[str, NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RetryableError(f"{file.name}: the answer cannot be read: {error}") from error


def _asset(item: Item, what: str, names: Sequence[str]) -> str:
    found = next((item.assets[name] for name in names if name in item.assets), None)
    if found is None:
        raise FetchError(
            f"{item.name}: expected an asset {' or '.join(names)} for {what}, received "
            f"{', '.join(sorted(item.assets)) or 'none'}",
            "Leave the band out with --bands, or take another catalogue.",
        )
    return found


def _shortened(degrees: float) -> float:
    return round(degrees, 7)
