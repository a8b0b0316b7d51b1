"""Bulletins on disk: every forecast that was published, kept complete and never overwritten.

``BULLETINS/<crop>-<harvest year>/<as_of>/`` holds one bulletin; a second, different forecast as of the same
date is ``<as_of>-2``. A bulletin is written to a hidden folder, which gets its name when all files are on
the disk: a process that is killed at any moment leaves no incomplete bulletin.
``issue.json`` lists every file with its SHA-256 and holds a SHA-256 of its own contents (``seal``), so that
damage is found before a new forecast is compared with the bulletin.
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

from yieldcast import clock, language
from yieldcast.data.files import (
    atomic_text,
    exclusive_lock,
    file_facts,
    fingerprint,
    make_folder,
    plain_name,
    remove_unfinished,
    write_folder_atomically,
)
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.run_skill import hindcast_skill
from yieldcast.forecasting import table
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.public_past import PublicYields
from yieldcast.forecasting.water_steps import WaterMonths
from yieldcast.language import sentence

FORMAT = 1
# Bulletins were called issues when this format was set; with another file name, old ones could not be opened.
MANIFEST = "issue.json"
FORECAST_FILE, CHANGES, REPORT = "forecast.nc", "changes.json", "report.html"
MOST_SHOWN = 24  # earlier bulletins in a report: two years of monthly ones
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:-([2-9]|[1-9]\d+))?")
_HINT = "Keep it as a record or delete its folder; the next job makes the forecast again."
Notice = Callable[[str], None]


def _ignore(text: str) -> None:
    """Ignore a message."""


@dataclass(frozen=True)
class Bulletin:
    """One bulletin whose ``issue.json`` was read and checked.

    Args:
        path: its folder.
        manifest: contents of ``issue.json``: crop, harvest_year, as_of, number, created, inputs, run_id,
            previous (name of the bulletin that it was compared with, or None), files, and more.
    """

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bulletin:
        """Read and check a bulletin's manifest; `verify` and `forecast` check the other files.

        Raises:
            MissingDataError: no such folder.
            SchemaError: the manifest is missing, damaged, or of another format.
        """
        if not path.is_dir():
            raise MissingDataError(f"no bulletin {path}", "The jobs and `write_bulletin` make bulletins.")
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            seal, form = manifest.pop("seal"), manifest["format"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, f"{MANIFEST} cannot be read ({error!r})") from error
        if form != FORMAT:
            raise SchemaError(
                f"{path}: expected bulletin format {FORMAT}, received {form!r}",
                "It was written by another version of yieldcast: read it with that version.",
            )
        if seal != _seal(manifest):
            raise _damaged(path, f"{MANIFEST} was changed after it was written")
        return cls(path, manifest)

    @property
    def name(self) -> str:
        """Name of the folder: the date, followed by a number from the second bulletin of that date on."""
        return self.path.name

    @property
    def as_of(self) -> dt.date:
        """The date of the forecast."""
        return dt.date.fromisoformat(self.manifest["as_of"])

    @property
    def input_fingerprints(self) -> dict[str, str]:
        """Fingerprints of what the forecast was made from, see `ForecastPlan.input_fingerprints`."""
        return dict(self.manifest["inputs"])

    def verify(self, names: Sequence[str] = ()) -> None:
        """Compare files with the manifest.

        Args:
            names: file names; all files of the bulletin if empty.

        Raises:
            SchemaError: a file is missing or was changed.
        """
        for name in names or self.manifest["files"]:
            try:
                found = file_facts(self.path / plain_name(name, MANIFEST))
            except OSError as error:
                raise _damaged(self.path, f"{name} cannot be read ({error.strerror})") from error
            if found != self.manifest["files"][name]:
                raise _damaged(self.path, f"{name} is not what was written")

    def forecast(self) -> xr.Dataset:
        """The verified forecast, see `forecasting.table.check_forecast`.

        Raises:
            SchemaError: the file is damaged.
        """
        self.verify([FORECAST_FILE])
        return table.read_forecast(self.path / FORECAST_FILE)

    def summary(self, lang: str = "en") -> str:
        """A few lines on what changed since the previous bulletin; empty for the first one.

        Raises:
            SchemaError: the file is damaged.
        """
        self.verify([CHANGES])
        changes = json.loads((self.path / CHANGES).read_text(encoding="utf-8"))
        if not changes["previous_as_of"]:
            return ""
        texts = {language.of(tag).tag: text for tag, text in changes["text"].items()}  # "pt" in version 0.1
        return str(texts.get(language.of(lang).tag, texts["en"]))


def refuse_bulletin(folder: Path) -> None:
    """Refuse to write into a bulletin, whose files and seal belong together.

    Raises:
        ConfigError: the folder is a bulletin.
    """
    if (folder / MANIFEST).exists():
        raise ConfigError(
            f"--out: {folder} is a bulletin, which stays as it was issued", "Give another folder."
        )


def season_folder(root: Path, crop: str, harvest_year: int, states: str = "") -> Path:
    """The folder with the bulletins of one season; those of some states only ("GO, MT") have their own."""
    some = "".join(f"-{plain_name(state, 'state')}" for state in states.split(", ") if state)
    return Path(root) / f"{plain_name(crop, 'crop')}-{harvest_year}{some}"


def list_bulletins(
    root: Path, crop: str, harvest_year: int, notice: Notice = _ignore, states: str = ""
) -> list[Bulletin]:
    """The bulletins of one season, earliest first.

    Args:
        root: folder of all bulletins.
        crop, harvest_year: of the season.
        notice: called with a message for each bulletin whose manifest is damaged; it is left out.
        states: see `season_folder`.
    """
    found = []
    for path in _folders(season_folder(root, crop, harvest_year, states)):
        try:
            found.append(Bulletin.open(path))
        except SchemaError as error:
            notice(sentence("left out: {reason}", reason=str(error)))
    return found


def newest(
    root: Path,
    crop: str,
    harvest_year: int,
    before: dt.date | None = None,
    notice: Notice = _ignore,
    states: str = "",
) -> Bulletin | None:
    """The newest bulletin of a season whose forecast can be read.

    Args:
        root: folder of all bulletins.
        crop, harvest_year: of the season.
        before: latest date of the forecast, inclusive; None for no limit.
        notice: called with a message for each damaged bulletin; it is passed over.
        states: see `season_folder`.
    """
    for bulletin in reversed(list_bulletins(root, crop, harvest_year, notice, states)):
        if before is not None and bulletin.as_of > before:
            continue
        try:
            bulletin.forecast()
            return bulletin
        except SchemaError as error:
            notice(sentence("passed over: {reason}", reason=str(error)))
    return None


def write_bulletin(
    root: Path,
    forecast: xr.Dataset,
    *,
    mesh: Path | None = None,
    lang: str = "en",
    skill: Sequence[Mapping[str, Any]] = (),
    plan: ForecastPlan | None = None,
    notes: Sequence[str] = (),
    explain: bool = False,
    notice: Notice = _ignore,
) -> Bulletin:
    """Write a forecast, its files for readers, and what changed since the previous bulletin.

    All files appear together or not at all.

    Args:
        root: folder of all bulletins; made if it does not exist.
        forecast: a checked table.
        mesh: boundaries of the municipalities (GeoJSON), for maps.
        lang: language of the tables and the report.
        skill: rows of ``yieldcast backtest --json``, shown in the report.
        plan: that made the forecast: the report then shows the public yields and, without `skill`, the skill
            of the run's own hindcasts.
        notes: remarks kept in the manifest, e.g. that a fetch was incomplete; after those of the forecast
            itself, see `reporting.notices`.
        explain: with `plan`, the report shows what the water of each month added to each place.
        notice: called with a message for each damaged bulletin and each format that was left out.

    Returns:
        The new bulletin, or the existing one if it holds the same forecast as of the same date.

    Raises:
        SchemaError: the forecast, the boundaries or the skill rows are not valid.
        MissingDataError: the files cannot be written, or another process is writing here.
    """
    from yieldcast.reporting.notices import notices, public_skill

    attrs, lang = table.check_forecast(forecast).attrs, language.of(lang).tag
    crop, year, as_of = str(attrs["crop"]), int(attrs["harvest_year"]), str(attrs["as_of"])
    states = str(attrs.get("states", ""))
    folder = season_folder(root, crop, year, states)
    make_folder(folder)
    with exclusive_lock(folder, "another job is writing a bulletin in"):
        remove_unfinished(folder)
        mark = _identity(forecast)
        for bulletin in list_bulletins(root, crop, year, states=states):
            with suppress(SchemaError):
                if bulletin.manifest["forecast"] == mark and bulletin.manifest["as_of"] == as_of:
                    bulletin.verify()
                    return bulletin
        number = 1 + max((n for date, n in map(_parse, _folders(folder)) if date == as_of), default=0)
        previous = newest(root, crop, year, dt.date.fromisoformat(as_of), notice, states)
        remarks = [*notices(attrs, "en"), *public_skill(attrs, skill, "en")[1], *notes]
        entries = {
            "format": FORMAT, "crop": crop, "harvest_year": year, "as_of": as_of, "number": number,
            "created": clock.now().isoformat(timespec="seconds"),
            "forecast": mark, "inputs": json.loads(str(attrs["inputs"])), "run": str(attrs["run"]),
            "run_id": str(attrs["run_id"]), "scenarios": str(attrs["scenarios"]),
            "synthetic": bool(attrs["synthetic"]), "made_with": str(attrs["made_with"]), "lang": lang,
            "previous": previous.name if previous else None, "notes": remarks,
        }  # fmt: skip

        def fill(place: Path) -> None:
            earlier = _earlier_forecasts(root, previous)
            past = plan.public_yields if plan else None
            rows = skill or (hindcast_skill(plan) if plan else ())
            water = plan.water_months if plan and explain else None
            _write_files(place, forecast, earlier, mesh, lang, rows, past, water, notice)
            files = {
                str(p.relative_to(place)): file_facts(p) for p in sorted(place.rglob("*")) if p.is_file()
            }
            manifest = {**entries, "files": files}
            text = json.dumps({**manifest, "seal": _seal(manifest)}, indent=2, ensure_ascii=False)
            atomic_text(place / MANIFEST, text)

        path = folder / (as_of if number == 1 else f"{as_of}-{number}")
        write_folder_atomically(path, fill)
    return Bulletin.open(path)


def _earlier_forecasts(root: Path, previous: Bulletin | None) -> list[xr.Dataset]:
    """One forecast for each date of the season up to the previous bulletin, the last one; no damaged ones.

    Of a date with several bulletins it is the newest one that can be read.
    """
    if previous is None:
        return []
    found: dict[dt.date, xr.Dataset] = {}
    crop, year = previous.manifest["crop"], previous.manifest["harvest_year"]
    states = str(previous.forecast().attrs.get("states", ""))
    for bulletin in list_bulletins(root, crop, year, states=states):
        if bulletin.as_of < previous.as_of:
            with suppress(SchemaError):
                found[bulletin.as_of] = bulletin.forecast()
    newest_dates = list(found.values())[-(MOST_SHOWN - 1) :]
    return [*newest_dates, previous.forecast()]


def _write_files(
    place: Path,
    forecast: xr.Dataset,
    earlier: Sequence[xr.Dataset],
    mesh: Path | None,
    lang: str,
    skill: Sequence[Mapping[str, Any]],
    past: PublicYields | None,
    water: WaterMonths | None,
    notice: Notice,
) -> None:
    from yieldcast.operations import changes_text
    from yieldcast.operations.changes import compare
    from yieldcast.reporting import export, html

    export.write_all(place, forecast, mesh, lang, notice=notice)
    html.write(
        place / REPORT, forecast, mesh, earlier=earlier, past=past, skill=skill, water=water, lang=lang
    )
    changes: dict[str, Any] = {"previous_as_of": None}
    if earlier:
        found = compare(earlier[-1], forecast)
        texts = {one: changes_text.summary(found, one) for one in language.tags()}
        changes = {**found.to_json(), "text": texts}
    atomic_text(place / CHANGES, json.dumps(changes, ensure_ascii=False, allow_nan=False, indent=1))


def _folders(folder: Path) -> list[Path]:
    """Folders with the name of a bulletin, earliest first."""
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(found, key=_parse)


def _parse(path: Path) -> tuple[str, int]:
    """Date and number in the name of a bulletin."""
    match = _NAME.fullmatch(path.name)
    return (match[1], int(match[2] or 1)) if match else ("", 0)


def _identity(forecast: xr.Dataset) -> str:
    """SHA-256 of a forecast: its values and its attributes."""
    attrs = json.dumps({k: str(v) for k, v in forecast.attrs.items()}, sort_keys=True)
    return hashlib.sha256((fingerprint(forecast) + attrs).encode()).hexdigest()


def _seal(manifest: Mapping[str, Any]) -> str:
    text = json.dumps(dict(manifest), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, what: str) -> SchemaError:
    return SchemaError(f"the bulletin {path} is damaged: {what}", _HINT)
