"""Checks of everything that a fetch needs: services, key, licences, disk, clock, versions."""

from __future__ import annotations

import email.utils
import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from data_fetchers import conab
from data_fetchers.cds import account
from data_fetchers.cds.client import Cds
from data_fetchers.conab import Conab
from data_fetchers.engine import http
from data_fetchers.era5.source import PRODUCTS
from data_fetchers.ibge.source import SIDRA, Ibge
from data_fetchers.nasa_power.source import NasaPower
from data_fetchers.seas5 import source as seas5
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.stac import source as stac
from yieldcast import clock
from yieldcast.errors import YieldcastError

State = Literal["ok", "warning", "failed"]
_TIMEOUT_s = (5.0, 20.0)
# A year of daily temperatures over Brazil has about 20 MB packed; ten years of all tables less than 5 GB.
_WANTED_GB = 5.0
_CLOCK_s = 300.0
_PACKAGES = ("cdsapi", "ecmwf-datastores-client", "requests", "rasterio", "xarray", "h5netcdf", "tenacity")
_EXTRAS = {"exactextract": "pip install 'yieldcast[geo]'", "distributed": "pip install 'yieldcast[scale]'"}
_ONE_DAY = (
    "parameters=T2M_MAX&community=AG&latitude=-12.5&longitude=-55.625&start=20200101&end=20200101&format=JSON"
    "&time-standard=LST"
)
_NO_KEY = "Without a key, use NASA POWER: yieldcast fetch weather --weather-source nasa-power."


class Finding(NamedTuple):
    """Result of one check.

    Args:
        what: what was checked.
        state: ok, warning (a fetch works with restrictions) or failed (a fetch would fail).
        text: the result.
        todo: what to do; empty if nothing.
    """

    what: str
    state: State
    text: str
    todo: str = ""


def examine(store: Path | None, cds: Cds | None = None) -> Iterator[Finding]:
    """Check everything that a fetch needs; yields one finding per check.

    Args:
        store: folder to fill; None skips the check of the disk.
        cds: the CDS to check; the configured one if None.
    """
    yield from _versions()
    if store is not None:
        yield _disk(store)
    dates: list[str] = []
    for name, url, head in _services():
        yield _service(name, url, head, dates)
    for name, url in stac.addresses().items():
        found = _service(name, url, b"{", [])
        # needed for `fetch pixels` only
        yield found._replace(state="warning") if found.state == "failed" else found
    yield _clock(dates)
    yield from _cds(cds or Cds())


def accept_licences(cds: Cds) -> list[str]:
    """Accept all missing licences of ERA5, ERA5-Land and SEAS5 for the account; return their names.

    Raises:
        FetchError: or a subclass: the CDS refuses or does not answer.
    """
    missing = account.missing_licences(cds.url, _datasets())
    account.accept(cds.url, missing)
    return [licence.title for licence in missing]


def _versions() -> Iterator[Finding]:
    found = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    yield Finding("versions", "ok", f"Python {sys.version.split()[0]}, {', '.join(found)}")
    for name, todo in _EXTRAS.items():
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            use = "averages over polygons" if name == "exactextract" else "--dask"
            yield Finding(name, "warning", f"not installed: needed for {use} only", todo)


def _disk(store: Path) -> Finding:
    place = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            "disk", "failed", f"{place}: {error.strerror}", "Choose a folder with write permission."
        )
    if free < _WANTED_GB:
        return Finding(
            "disk", "warning", f"{place}: {free:.1f} GB free",
            f"Ten years of Brazil take up to {_WANTED_GB:.0f} GB of downloads; use a larger disk.",
        )  # fmt: skip
    return Finding("disk", "ok", f"{place}: {free:.0f} GB free")


def _services() -> Iterator[tuple[str, str, bytes]]:
    """Name, address of a small answer, and start of that answer, for each service."""
    base = Ibge().base_url
    yield "IBGE places", Ibge().periods_url(1612), b"["
    yield "IBGE tables", f"{base or SIDRA}/values/t/1612/n1/all/v/214/p/2015/c81/2713", b"["
    yield "SoilGrids", SoilGrids().probe_url(), b""
    yield "NASA POWER", f"{NasaPower().base_url}/api/temporal/daily/point?{_ONE_DAY}", b"{"
    yield "CONAB", f"{Conab().base_url}/{conab.SERIES}", b"ano_agricola"


def _service(name: str, url: str, head: bytes, dates: list[str]) -> Finding:
    session = http.SafeSession()
    try:
        with session.get(url, headers={"Range": "bytes=0-2047"}, stream=True, timeout=_TIMEOUT_s) as answer:
            http.raise_for_status(answer)
            dates.append(answer.headers.get("Date", ""))
            body = next(answer.iter_content(2048), b"")
    except YieldcastError as error:
        return Finding(name, "failed", str(error), error.hint)
    except Exception as error:  # any other error means: not reachable
        return Finding(
            name, "failed", f"{http.shown(url)} cannot be reached ({type(error).__name__})",
            "Check your connection; behind a proxy set HTTPS_PROXY. Otherwise try again later.",
        )  # fmt: skip
    if http.looks_like_html(body) or not body.lstrip().startswith(head):
        return Finding(
            name, "failed", f"{http.shown(url)} answers, but not with data",
            "The service is under repair, or a proxy answers in its place. Try again later.",
        )  # fmt: skip
    return Finding(name, "ok", f"{http.shown(url)} answers")


def _clock(dates: Sequence[str]) -> Finding:
    servers = []
    for text in dates:
        with suppress(ValueError, TypeError):
            servers.append(email.utils.parsedate_to_datetime(text))
    if not servers:
        return Finding("clock", "warning", "no service sent its time", "")
    off = (clock.now() - servers[-1]).total_seconds()
    if abs(off) > _CLOCK_s:
        return Finding(
            "clock", "warning", f"this machine's clock differs from the services by {off / 60:+.0f} minutes",
            "Correct it: today's date decides which data are published and which are preliminary.",
        )  # fmt: skip
    return Finding("clock", "ok", f"differs from the services by {abs(off):.0f} s")


def _datasets() -> list[str]:
    return sorted({name for product in PRODUCTS.values() for name in product.names} | {seas5.DATASET})


def _cds(cds: Cds) -> Iterator[Finding]:
    steps: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("CDS settings", lambda: _settings(cds)),
        ("CDS key", lambda: _key(cds)),
        ("CDS licences", lambda: _licences(cds)),
    )
    for what, step in steps:
        try:
            yield step()
        except YieldcastError as error:
            hint = f"{error.hint} {_NO_KEY}" if what == "CDS settings" else error.hint
            yield Finding(what, "failed", str(error), hint)
            return


def _settings(cds: Cds) -> Finding:
    url, origin = account.credentials(cds.url)
    return Finding("CDS settings", "ok", f"{url}, key from {origin}")


def _key(cds: Cds) -> Finding:
    account.check_key(cds.url)
    return Finding("CDS key", "ok", "accepted")


def _licences(cds: Cds) -> Finding:
    missing = account.missing_licences(cds.url, _datasets())
    if not missing:
        return Finding("CDS licences", "ok", "all accepted for ERA5, ERA5-Land and SEAS5")
    return Finding(
        "CDS licences", "failed", "not accepted: " + ", ".join(licence.title for licence in missing),
        "Read and accept them on the pages of the datasets, or `yieldcast doctor --accept-licences`.",
    )  # fmt: skip
