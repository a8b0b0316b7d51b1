"""IBGE as a source: Localidades and Malhas (places, polygons), SIDRA (PAM, the municipal yields).

Addresses, limits and faults: shared/reference/data-sources.md, sections 3.2 to 3.5.
"""

from __future__ import annotations

import datetime as dt
import gzip
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from data_fetchers.engine import clock
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.http import SafeSession, get
from data_fetchers.engine.source import Note, RequestTooLargeError
from data_fetchers.ibge import malhas, sidra
from data_fetchers.ibge import sidra as pam
from data_fetchers.ibge.sidra import CROPS, read_part
from yieldcast.data.files import disk_error
from yieldcast.errors import ConfigError, FetchError

SERVICE = "https://servicodados.ibge.gov.br"
SIDRA = "https://apisidra.ibge.gov.br"
LIMIT = 50_000  # values per request to SIDRA: section 3.2 [A]
_LARGEST = 200_000_000  # bytes; a full answer of SIDRA is about 25 MB, a state's mesh less
_PERIODS_AGE = dt.timedelta(hours=20)  # asked for once a day: a revision of PAM shows there first
_AGE = dt.timedelta(days=30)
_PARSERS: Mapping[str, Callable[[Any, Request], Any]] = {
    "places": malhas.parse_places, "centroids": malhas.parse_centroids, "mesh": malhas.parse_mesh,
    "labels": sidra.parse_labels, "periods": sidra.parse_periods,
}  # fmt: skip
_OP_LEGACY_SERVER_CONNECT = 0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which Python names from 3.12 on


@dataclass(frozen=True)
class Ibge:
    """The source ``ibge``.

    Args:
        base_url: stands for both hosts; if empty YIELDCAST_IBGE_URL, else the real ones.
        modified: (table, year, date of the last revision) as SIDRA states them, see `with_periods`.
    """

    base_url: str = ""
    modified: tuple[tuple[int, int, str], ...] = ()

    name: ClassVar[str] = "ibge"
    licence: ClassVar[str] = "IBGE: free use with attribution"
    attribution: ClassVar[str] = "Source: IBGE (Localidades, Malhas, Produção Agrícola Municipal)"
    workers: ClassVar[int] = 3
    seconds_between: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        # Now, not later: a worker on another machine has another environment.
        base = self.base_url or os.environ.get("YIELDCAST_IBGE_URL", "")
        object.__setattr__(self, "base_url", base.rstrip("/"))

    def place_parts(self) -> list[Request]:
        """Localidades' municipalities, and the centroids of the mesh."""
        centroids = {"path": "/api/v3/malhas/paises/BR/metadados", "params": {"intrarregiao": "municipio"}}
        return [
            Request(self.name, "localidades", {"kind": "places", "path": "/api/v1/localidades/municipios"}),
            Request(self.name, "centroids", {"kind": "centroids", **centroids}),
        ]

    def mesh_parts(self, state_codes: Sequence[int]) -> list[Request]:
        """The municipalities' polygons, one part per state code."""
        params = {
            "formato": "application/vnd.geo+json",  # without it the answer is a picture (SVG)
            "qualidade": "intermediaria",
            "intrarregiao": "municipio",
        }
        path = "/api/v3/malhas/estados"
        requests = {
            uf: {"kind": "mesh", "path": f"{path}/{uf}", "params": params, "state": uf} for uf in state_codes
        }
        return [Request(self.name, f"mesh-{uf}", request, ".geojson") for uf, request in requests.items()]

    def table_requests(self, crops: Sequence[str]) -> list[Request]:
        """Labels and periods of every table of SIDRA that holds one of the crops.

        Raises:
            ConfigError: an unknown crop.
        """
        tables = sorted({crop.table for crop in sidra.known(crops).values()})
        return [part for table in tables for part in (self._labels(table), self._periods(table))]

    def with_periods(self, shelf: RequestCache) -> Ibge:
        """The same source, knowing by the periods on the shelf when each year of PAM was last revised."""
        modified = tuple(
            (table, year, date)
            for table in sidra.PLANTED
            if shelf.verified(self._periods(table)) is not None
            for year, date in self._read_periods(shelf, table).items()
        )
        return replace(self, modified=modified)

    def yield_parts(
        self,
        crops: Sequence[str],
        years: Sequence[int],
        states: Sequence[int] | None,
        counts: Mapping[int, int],
        shelf: RequestCache,
    ) -> tuple[list[Request], list[Note]]:
        """PAM's yields, one year per part, as many crops in one as SIDRA's limit allows.

        Args:
            crops: of `pam.CROPS`.
            years: harvest years.
            states: codes, one part each; None for one part with all of Brazil.
            counts: municipalities per state code, `places.municipality_counts`.
            shelf: holds the parts of `table_requests`.

        Returns:
            the parts, and a note for each year that PAM does not have.

        Raises:
            ConfigError: an unknown crop, or a state without a count.
            SchemaError: SIDRA's codes no longer mean what we take them for.
            MissingDataError: the parts of `table_requests` are not on the shelf.
        """
        if unknown := sorted(set(states or ()) - set(counts)):
            raise ConfigError(f"expected states of {sorted(counts)}, received {unknown}")
        scopes = [dict(counts)] if states is None else [{uf: counts[uf]} for uf in sorted(set(states))]
        parts, notes = [], []
        known = sidra.known(crops)
        for table in sorted({crop.table for crop in known.values()}):
            group = {name: crop for name, crop in known.items() if crop.table == table}
            sidra.refuse_labels(read_part(shelf, self._labels(table)), table, group)
            published = self._read_periods(shelf, table)
            for year in sorted(set(years)):
                there = [c for c in group if year in published and year >= group[c].first_year]
                notes += _missing(year, sorted(set(group) - set(there)), published)
                for scope in scopes:
                    packed = max(1, (LIMIT - 1) // (len(sidra.variables(table)) * sum(scope.values())))
                    for i in range(0, len(there), packed):
                        parts.append(self._part(table, there[i : i + packed], year, scope, states is None))
        return parts, notes

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Ask for the part; its answer as it came, that of SIDRA compressed."""
        request, facts = part.request, {}
        if request["kind"] == "yields":
            body = gzip.compress(self._values(part, job), 6, mtime=0)  # the same bytes for the same answer
            facts = {"modified": self._modified(part)}
        else:
            body = self._get(SERVICE + request["path"], request.get("params"))
        try:
            target.write_bytes(body)
        except OSError as error:
            raise disk_error(target, error) from error
        return facts

    def check(self, part: Request, file: Path) -> Record:
        """Facts of a whole answer; AgainError for any other."""
        body, request = file.read_bytes(), part.request
        if request["kind"] == "yields":
            return pam.check_values(gzip.decompress(body), request, malhas.PARENTS)
        answer, parse = sidra.load_json(body, part.name), _PARSERS[request["kind"]]
        return {"entries": len(parse(answer, part))}

    def split(self, part: Request) -> list[Request]:
        """Halves of a part of PAM: fewer crops, then fewer variables, then one state each."""
        request = part.request
        if request["kind"] != "yields":
            return []
        crops, variables, territories = request["crops"], request["variables"], request["territories"]
        halves: list[dict[str, Any]] = []
        if len(crops) > 1:
            half = len(crops) // 2
            items = list(crops.items())
            halves = [{"crops": dict(items[:half])}, {"crops": dict(items[half:])}]
        elif len(variables) > 1:
            half = len(variables) // 2
            halves = [{"variables": variables[:half]}, {"variables": variables[half:]}]
        elif request["national"]:
            halves = [{"territories": {uf: n}, "national": False} for uf, n in territories.items()]
        return [
            Request(part.source, f"{part.name}-{i}", {**request, **change}, part.suffix)
            for i, change in enumerate(halves, 1)
        ]

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        """A year of PAM that was revised since; anything else by its age."""
        if part.request["kind"] == "yields":
            now, then = self._modified(part), record.get("modified", "")
            return bool(now) and (not then or sidra.date(now) > sidra.date(then))
        age = dt.datetime.combine(today, clock.now().timetz()) - dt.datetime.fromisoformat(record["fetched"])
        return age > (_PERIODS_AGE if part.request["kind"] == "periods" else _AGE)

    def periods_url(self, table: int) -> str:
        """A small answer of the service, to see whether it is there."""
        return self._url(SERVICE + str(self._periods(table).request["path"]))

    def _labels(self, table: int) -> Request:
        path = f"/api/v3/agregados/{table}/metadados"
        return Request(self.name, f"labels-{table}", {"kind": "labels", "path": path, "table": table})

    def _periods(self, table: int) -> Request:
        path = f"/api/v3/agregados/{table}/periodos"
        return Request(self.name, f"periods-{table}", {"kind": "periods", "path": path})

    def _read_periods(self, shelf: RequestCache, table: int) -> dict[int, str]:
        part = self._periods(table)
        return sidra.parse_periods(read_part(shelf, part), part)

    def _part(
        self, table: int, crops: Sequence[str], year: int, scope: Mapping[int, int], national: bool
    ) -> Request:
        request = {
            "kind": "yields", "table": table, "classification": CROPS[crops[0]].classification,
            "crops": {crop: CROPS[crop].code for crop in crops},
            "variables": sidra.variables(table), "year": year,
            "territories": {str(uf): count for uf, count in sorted(scope.items())}, "national": national,
        }  # fmt: skip
        where = "br" if national else "-".join(map(str, scope))
        more = f"-and-{len(crops) - 1}" if len(crops) > 1 else ""
        return Request(self.name, f"pam-{table}-{year}-{where}-{crops[0]}{more}", request, ".json.gz")

    def _modified(self, part: Request) -> str:
        table, year = part.request["table"], part.request["year"]
        return next((m for t, y, m in self.modified if (t, y) == (table, year)), "")

    def _values(self, part: Request, job: PendingJob) -> bytes:
        try:
            return self._get(SIDRA + sidra.values_path(part.request))
        except FetchError as error:
            text = str(error)
            # SIDRA says "excedeu o limite"; a 400 without a word can be that too, or a proxy that refuses us.
            # Any other 400 is a question that SIDRA does not understand, however small.
            said = " answered 400" in text and "excedeu" in text.lower()
            if said or (text.endswith(" answered 400") and self._answers(part)):
                raise RequestTooLargeError(text, error.hint) from error
            if " answered 500" not in text:
                raise
            errors = int(job.load().get("server_errors", 0)) + 1
            job.save(server_errors=errors)
            # A 500 can mean too big, or a service that is down, which would be split to dust: a single
            # value tells the two apart.
            if errors >= 2 and self.split(part) and self._answers(part):
                raise RequestTooLargeError(text, error.hint) from error
            raise

    def _answers(self, part: Request) -> bool:
        first = dict(list(part.request["crops"].items())[:1])
        one = {**part.request, "crops": first, "variables": part.request["variables"][:1]}
        try:
            return bool(self._get(SIDRA + sidra.values_path(one, "n1/1")))
        except FetchError:
            return False

    def _url(self, url: str) -> str:
        host = SIDRA if url.startswith(SIDRA) else SERVICE
        return url.replace(host, self.base_url, 1) if self.base_url else url

    def _get(self, url: str, params: Mapping[str, str] | None = None) -> bytes:
        url = self._url(url)
        with SafeSession() as session:
            try:
                return get(session, url, params=params, limit=_LARGEST)
            except FetchError as error:
                # The servers lacked secure renegotiation (RFC 5746), which OpenSSL 3 asks for: section 3.4
                # [A]; whether they still do could not be seen.
                if "UNSAFE_LEGACY_RENEGOTIATION" not in str(error.__cause__):
                    raise
            for host in (SERVICE, SIDRA):
                session.mount(f"{host}/", LegacyAdapter())
            return get(session, url, params=params, limit=_LARGEST)


class LegacyAdapter(HTTPAdapter):
    """TLS with servers that lack secure renegotiation; certificates are checked as ever."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with the option set."""
        context = create_urllib3_context()
        context.options |= _OP_LEGACY_SERVER_CONNECT
        super().init_poolmanager(*args, ssl_context=context, **kwargs)


def _missing(year: int, crops: Sequence[str], published: Collection[int]) -> list[Note]:
    """Only what is still to come is missing; what PAM will never have is said and left."""
    if not crops:
        return []
    to_come = year > max(published, default=year)
    text = f"PAM of {year} is not published ({', '.join(crops)})"
    if year in published:
        text = f"PAM counts {', '.join(crops)} of {year} in another way than today: not fetched"
    elif not to_come:
        text = f"PAM has no {', '.join(crops)} of {year}"
    return [Note("yields", text, len(crops), missing=to_come)]
