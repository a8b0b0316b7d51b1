"""Issues on disk: every forecast that was given out, kept whole and never overwritten.

``ISSUES/<crop>-<harvest year>/<as_of>/`` holds one issue; a second, different forecast as of the same date
is ``<as_of>-2``. An issue is made in a hidden folder beside its place and renamed when all of it is on the
disk, so that a kill at any moment leaves no half issue. ``issue.json`` names every file with its SHA-256 and
carries the SHA-256 of itself, so that damage is found before a forecast is compared with it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast.data.files import (
    atomic_text,
    exclusive_lock,
    file_facts,
    fingerprint,
    make_folder,
    remove_unfinished,
    write_folder_atomically,
)
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting import table

FORMAT = 1
MANIFEST, FORECAST_FILE, CHANGES, REPORT = "issue.json", "forecast.nc", "changes.json", "report.html"
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:-([2-9]|[1-9]\d+))?")
_AGAIN = "Leave it as a record or delete its folder; the next job makes the forecast again."
Notice = Callable[[str], None]


def _quiet(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Bulletin:
    """One issue whose ``issue.json`` was read and checked.

    Args:
        path: its folder.
        manifest: contents of ``issue.json``: crop, harvest_year, as_of, number, created, inputs, run_id,
            previous (name of the issue that it was compared with, or None), files, and more.
    """

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bulletin:
        """Read an issue's manifest; the other files are checked by `verify` and `forecast`.

        Raises:
            MissingDataError: no such folder.
            SchemaError: no manifest there, or a damaged one, or one of another format.
        """
        if not path.is_dir():
            raise MissingDataError(f"no issue {path}", "The jobs and `write_bulletin` make them.")
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            seal, form = manifest.pop("seal"), manifest["format"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, f"{MANIFEST} cannot be read ({error!r})") from error
        if form != FORMAT:
            raise SchemaError(
                f"{path}: expected issue format {FORMAT}, received {form!r}",
                "It was written by another version of yieldcast: read it with that.",
            )
        if seal != _seal(manifest):
            raise _damaged(path, f"{MANIFEST} was changed after it was written")
        return cls(path, manifest)

    @property
    def name(self) -> str:
        """Of its folder: the date, with a number from the second issue of that date on."""
        return self.path.name

    @property
    def as_of(self) -> dt.date:
        """The date of the forecast."""
        return dt.date.fromisoformat(self.manifest["as_of"])

    @property
    def input_fingerprints(self) -> dict[str, str]:
        """What the forecast was made from, see `forecasting.input_fingerprints`."""
        return dict(self.manifest["inputs"])

    def verify(self, names: Sequence[str] = ()) -> None:
        """Compare files with the manifest.

        Args:
            names: of files; all of the issue if none.

        Raises:
            SchemaError: one is not there or not as it was written.
        """
        for name in names or self.manifest["files"]:
            try:
                found = file_facts(self.path / name)
            except OSError as error:
                raise _damaged(self.path, f"{name} cannot be read ({error.strerror})") from error
            if found != self.manifest["files"][name]:
                raise _damaged(self.path, f"{name} is not what was written")

    def forecast(self) -> xr.Dataset:
        """The forecast, verified.

        Raises:
            SchemaError: it is damaged.
        """
        self.verify([FORECAST_FILE])
        return table.read_forecast(self.path / FORECAST_FILE)

    def summary(self, lang: str = "en") -> str:
        """What changed since the issue before, a few lines; empty for the first one.

        Raises:
            SchemaError: it is damaged.
        """
        self.verify([CHANGES])
        changes = json.loads((self.path / CHANGES).read_text(encoding="utf-8"))
        return str(changes["text"][lang]) if changes["previous_as_of"] else ""


def season_folder(root: Path, crop: str, harvest_year: int) -> Path:
    """Where the issues of one season lie."""
    return Path(root) / f"{crop}-{harvest_year}"


def list_bulletins(root: Path, crop: str, harvest_year: int, notice: Notice = _quiet) -> list[Bulletin]:
    """The issues of one season, earliest first.

    Args:
        root: folder of all issues.
        crop, harvest_year: of the season.
        notice: told of each issue whose manifest is damaged, which is left out.
    """
    found = []
    for path in _paths(season_folder(root, crop, harvest_year)):
        try:
            found.append(Bulletin.open(path))
        except SchemaError as error:
            notice(f"left out: {error}")
    return found


def newest(
    root: Path, crop: str, harvest_year: int, before: dt.date | None = None, notice: Notice = _quiet
) -> Bulletin | None:
    """The newest issue of a season whose forecast can be read.

    Args:
        root: folder of all issues.
        crop, harvest_year: of the season.
        before: none as of a later date; an issue as of the date itself counts.
        notice: told of each damaged issue, which is passed over.
    """
    for issue in reversed(list_bulletins(root, crop, harvest_year, notice)):
        if before is not None and issue.as_of > before:
            continue
        try:
            issue.forecast()
            return issue
        except SchemaError as error:
            notice(f"passed over: {error}")
    return None


def write_bulletin(
    root: Path,
    forecast: xr.Dataset,
    *,
    mesh: Path | None = None,
    lang: str = "en",
    skill: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    notice: Notice = _quiet,
) -> Bulletin:
    """Write a forecast, its files for readers, and what changed since the issue before; whole or not at all.

    Args:
        root: folder of all issues, made when it is not there.
        forecast: a checked table.
        mesh: boundaries of the municipalities (GeoJSON), for maps.
        lang: en or pt, of the tables and the report.
        skill: rows of ``yieldcast backtest --json``, shown in the report.
        notes: what a reader of the manifest should know, e.g. that a fetch was incomplete.
        notice: told of damaged issues that were passed over, and of formats that were left out.

    Returns:
        the issue; the one that is there already when it is the same forecast as of the same date.

    Raises:
        SchemaError: no valid forecast.
        MissingDataError: the disk refuses, or another writer is at work.
    """
    attrs = table.check_forecast(forecast).attrs
    crop, year, as_of = str(attrs["crop"]), int(attrs["harvest_year"]), str(attrs["as_of"])
    folder = season_folder(root, crop, year)
    make_folder(folder)
    with exclusive_lock(folder, "another job is writing an issue in"):
        remove_unfinished(folder)
        mark = _identity(forecast)
        for issue in list_bulletins(root, crop, year):
            with suppress(SchemaError):
                if issue.manifest["forecast"] == mark and issue.manifest["as_of"] == as_of:
                    issue.verify()
                    return issue
        number = 1 + max((n for date, n in map(_parse, _paths(folder)) if date == as_of), default=0)
        previous = newest(root, crop, year, dt.date.fromisoformat(as_of), notice)
        entries = {
            "format": FORMAT, "crop": crop, "harvest_year": year, "as_of": as_of, "number": number,
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "forecast": mark, "inputs": json.loads(str(attrs["inputs"])), "run": str(attrs["run"]),
            "run_id": str(attrs["run_id"]), "scenarios": str(attrs["scenarios"]),
            "synthetic": bool(attrs["synthetic"]), "made_with": str(attrs["made_with"]), "lang": lang,
            "previous": previous.name if previous else None, "notes": list(notes),
        }  # fmt: skip

        def fill(place: Path) -> None:
            before = previous.forecast() if previous else None
            _write_products(place, forecast, before, mesh, lang, skill, notice)
            files = {
                str(p.relative_to(place)): file_facts(p) for p in sorted(place.rglob("*")) if p.is_file()
            }
            manifest = {**entries, "files": files}
            text = json.dumps({**manifest, "seal": _seal(manifest)}, indent=2, ensure_ascii=False)
            atomic_text(place / MANIFEST, text)

        path = folder / (as_of if number == 1 else f"{as_of}-{number}")
        write_folder_atomically(path, fill)
    return Bulletin.open(path)


def _write_products(
    place: Path,
    forecast: xr.Dataset,
    previous: xr.Dataset | None,
    mesh: Path | None,
    lang: str,
    skill: Sequence[Mapping[str, Any]],
    notice: Notice,
) -> None:
    from yieldcast.operations import changes_text
    from yieldcast.operations.changes import compare
    from yieldcast.reporting import export, html
    from yieldcast.reporting.labels import LANGUAGES

    export.write_all(place, forecast, mesh, lang, notice=notice)
    html.write(place / REPORT, forecast, mesh, previous=previous, skill=skill, lang=lang)
    changes: dict[str, Any] = {"previous_as_of": None}
    if previous is not None:
        found = compare(previous, forecast)
        changes = {**found.to_json(), "text": {one: changes_text.summary(found, one) for one in LANGUAGES}}
    atomic_text(place / CHANGES, json.dumps(changes, ensure_ascii=False, allow_nan=False, indent=1))


def _paths(folder: Path) -> list[Path]:
    """Folders named as issues are, earliest first."""
    try:
        there = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(there, key=_parse)


def _parse(path: Path) -> tuple[str, int]:
    """Date and number in the name of an issue."""
    match = _NAME.fullmatch(path.name)
    return (match[1], int(match[2] or 1)) if match else ("", 0)


def _identity(forecast: xr.Dataset) -> str:
    """SHA-256 of all that a forecast says: its tables and its attributes."""
    attrs = json.dumps({k: str(v) for k, v in forecast.attrs.items()}, sort_keys=True)
    return hashlib.sha256((fingerprint(forecast) + attrs).encode()).hexdigest()


def _seal(manifest: Mapping[str, Any]) -> str:
    text = json.dumps(dict(manifest), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, what: str) -> SchemaError:
    return SchemaError(f"the issue {path} is damaged: {what}", _AGAIN)
