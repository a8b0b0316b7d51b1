"""IBGE as a source: Localidades and Malhas (places, polygons), SIDRA (yields of PAM, estimates of LSPA)."""

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

from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.http import BusyError, RefusedError, SafeSession, get
from data_fetchers.engine.source import Note, RequestTooLargeError
from data_fetchers.ibge import listed, lspa, malhas, sidra
from data_fetchers.ibge.sidra import CROPS, read_answer
from yieldcast import clock
from yieldcast.data.files import disk_error
from yieldcast.errors import ConfigError, FetchError

SERVICE = "https://servicodados.ibge.gov.br"
SIDRA = "https://apisidra.ibge.gov.br"
MESHES = "/api/v4/malhas"  # version 3 lacks the newest municipality (5101837)
LIMIT = 50_000  # values per request (SIDRA's error text "excedeu o limite: 50000", sidrar issue 28)
_LARGEST_bytes = 200_000_000  # a full answer of SIDRA has about 25 MB, the mesh of a state less
_PERIODS_AGE = dt.timedelta(hours=20)  # fetched once a day, because they show revisions of PAM
_AGE = dt.timedelta(days=30)
_PARSERS: Mapping[str, Callable[[Any, Request], Any]] = {
    "places": malhas.parse_places, "centroids": malhas.parse_centroids, "mesh": malhas.parse_mesh,
    "labels": sidra.parse_labels, "periods": sidra.parse_periods, "localities": listed.parse_localities,
}  # fmt: skip
_TABLES: Mapping[str, Any] = {"yields": sidra, "estimates": lspa}  # kinds of requests for values of SIDRA
_OP_LEGACY_SERVER_CONNECT = 0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which Python has from 3.12 on


@dataclass(frozen=True)
class Ibge:
    """The source ``ibge``.

    Args:
        base_url: address in place of both hosts; if empty YIELDCAST_IBGE_URL, else the real ones.
        modified: (table, year or month, date of the last revision) as SIDRA states them, see `with_periods`.
    """

    base_url: str = ""
    modified: tuple[tuple[int, int, str], ...] = ()

    name: ClassVar[str] = "ibge"
    licence: ClassVar[str] = "IBGE: free use with attribution"
    attribution: ClassVar[str] = "Source: IBGE (Localidades, Malhas, Produção Agrícola Municipal)"
    workers: ClassVar[int] = 3
    seconds_between: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        # Read here, because a worker on another machine has another environment.
        base = self.base_url or os.environ.get("YIELDCAST_IBGE_URL", "")
        object.__setattr__(self, "base_url", base.rstrip("/"))

    def place_requests(self) -> list[Request]:
        """Requests for the municipalities of Localidades and the centroids of the mesh."""
        centroids = {"path": f"{MESHES}/paises/BR/metadados", "params": {"intrarregiao": "municipio"}}
        return [
            Request(self.name, "localidades", {"kind": "places", "path": "/api/v1/localidades/municipios"}),
            Request(self.name, "centroids", {"kind": "centroids", **centroids}),
        ]

    def mesh_requests(self, state_codes: Sequence[int]) -> list[Request]:
        """Requests for the polygons of the municipalities, one per state code."""
        params = {
            "formato": "application/vnd.geo+json",  # without it the answer is a picture (SVG)
            "qualidade": "intermediaria",
            "intrarregiao": "municipio",
        }
        path = f"{MESHES}/estados"
        by_state = {
            uf: {"kind": "mesh", "path": f"{path}/{uf}", "params": params, "state": uf} for uf in state_codes
        }
        return [Request(self.name, f"mesh-{uf}", asked, ".geojson") for uf, asked in by_state.items()]

    def metadata_requests(self, crops: Sequence[str]) -> list[Request]:
        """Requests for labels, periods and municipalities of every SIDRA table that holds one of the crops.

        Raises:
            ConfigError: an unknown crop.
        """
        tables = sorted({crop.table for crop in sidra.known(crops).values()})
        return [
            request
            for table in tables
            for request in (
                self._labels(table), self._periods(table), listed.localities_request(self.name, table)
            )
        ]  # fmt: skip

    def with_periods(self, cache: RequestCache) -> Ibge:
        """This source with the date of the last revision of each year of PAM, from the cached periods."""
        modified = tuple(
            (table, year, date)
            for table in (*sidra.PLANTED, lspa.TABLE)
            if cache.verified(self._periods(table)) is not None
            for year, date in self._read_periods(cache, table).items()
        )
        return replace(self, modified=modified)

    def yield_requests(
        self,
        crops: Sequence[str],
        years: Sequence[int],
        states: Sequence[int] | None,
        counts: Mapping[int, int],
        cache: RequestCache,
    ) -> tuple[list[Request], list[Note]]:
        """Requests for PAM yields: one year each, with as many crops as SIDRA's limit allows.

        Args:
            crops: keys of `sidra.CROPS`.
            years: harvest years.
            states: codes, each in a request of its own; None for requests of all Brazil.
            counts: number of municipalities per state code, from `places.municipality_counts`; with them the
                table's own list is compared, which decides what is expected.
            cache: holds the answers to `metadata_requests`.

        Returns:
            requests, and a note for each year that PAM does not have.

        Raises:
            ConfigError: an unknown crop, or a state without a count.
            SchemaError: the meaning of SIDRA's codes has changed.
            MissingDataError: the answers to `metadata_requests` are not cached.
            FetchError: the table's list of municipalities is incomplete; it is removed from the cache.
        """
        if unknown := sorted(set(states or ()) - set(counts)):
            raise ConfigError(f"expected states of {sorted(counts)}, received {unknown}")
        requests, notes = [], []
        known = sidra.known(crops)
        for table in sorted({crop.table for crop in known.values()}):
            group = {name: crop for name, crop in known.items() if crop.table == table}
            sidra.refuse_labels(read_answer(cache, self._labels(table)), table, group)
            published, covered = self._read_periods(cache, table), self._covered(cache, table, counts)
            for year in sorted(set(years)):
                there = listed.expected_counts(covered, year)
                scopes = [there] if states is None else [{uf: there[uf]} for uf in sorted(set(states))]
                available = [c for c in group if year in published and year >= group[c].first_year]
                notes += _missing(year, sorted(set(group) - set(available)), published)
                for scope in scopes:
                    size = max(1, (LIMIT - 1) // (len(sidra.variables(table)) * sum(scope.values())))
                    packs = [available[i : i + size] for i in range(0, len(available), size)]
                    requests += [self._request(table, pack, year, scope, states is None) for pack in packs]
        return requests, notes

    def estimate_metadata(self) -> list[Request]:
        """Requests for labels and periods of the table of LSPA."""
        return [self._labels(lspa.TABLE), self._periods(lspa.TABLE)]

    def estimate_requests(
        self, crops: Sequence[str], years: Sequence[int], cache: RequestCache
    ) -> tuple[list[Request], list[Note]]:
        """Requests for the monthly estimates of LSPA, one per year, and notes on what LSPA lacks.

        Args:
            crops: keys of `sidra.CROPS`.
            years: harvest years.
            cache: holds the answers to `estimate_metadata`.

        Raises:
            SchemaError: the meaning of SIDRA's codes has changed.
            MissingDataError: the answers to `estimate_metadata` are not cached.
        """
        names, absent = lspa.categories_of(crops)
        codes = lspa.codes_of(read_answer(cache, self._labels(lspa.TABLE)), names)
        requests, notes = lspa.requests_of(codes, years, self._read_periods(cache, lspa.TABLE))
        if absent:
            notes.append(Note("estimates", f"LSPA has no {', '.join(absent)}", len(absent)))
        return requests, notes

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Write the answer unchanged; values of SIDRA are compressed."""
        parameters, facts = request.parameters, {}
        if parameters["kind"] in _TABLES:
            # mtime=0, so that equal answers give equal bytes
            body = gzip.compress(self._values(request, job), 6, mtime=0)
            facts = {"modified": self._modified(request)}
        else:
            body = self._get(SERVICE + parameters["path"], parameters.get("params"))
        try:
            target.write_bytes(body)
        except OSError as error:
            raise disk_error(target, error) from error
        return facts

    def check(self, request: Request, file: Path) -> Record:
        """Entries for the sidecar of a complete answer; RetryableError for any other."""
        body, parameters = file.read_bytes(), request.parameters
        if parameters["kind"] == "yields":
            return sidra.check_values(gzip.decompress(body), parameters)
        if parameters["kind"] == "estimates":
            return lspa.check_values(gzip.decompress(body), parameters)
        answer, parse = sidra.load_json(body, request.name), _PARSERS[parameters["kind"]]
        return {"entries": len(parse(answer, request))}

    def split(self, request: Request) -> list[Request]:
        """Smaller requests for PAM: half the crops, else half the variables, else one per state.

        For LSPA: half the crops, else half the months.
        """
        parameters = request.parameters
        if parameters["kind"] == "estimates":
            return [
                Request(request.source, f"{request.name}-{i}", {**parameters, **change}, request.suffix)
                for i, change in enumerate(lspa.halves(parameters), 1)
            ]
        if parameters["kind"] != "yields":
            return []
        crops, variables = parameters["crops"], parameters["variables"]
        halves: list[dict[str, Any]] = []
        if len(crops) > 1:
            half = len(crops) // 2
            items = list(crops.items())
            halves = [{"crops": dict(items[:half])}, {"crops": dict(items[half:])}]
        elif len(variables) > 1:
            half = len(variables) // 2
            halves = [{"variables": variables[:half]}, {"variables": variables[half:]}]
        elif parameters["national"]:
            halves = [
                {"territories": {uf: n}, "national": False} for uf, n in parameters["territories"].items()
            ]
        return [
            Request(request.source, f"{request.name}-{i}", {**parameters, **change}, request.suffix)
            for i, change in enumerate(halves, 1)
        ]

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """True for values that were revised since; for other answers above a maximum age."""
        if request.parameters["kind"] in _TABLES:
            now, then = self._modified(request), record.get("modified", "")
            return bool(now) and (not then or sidra.date(now) > sidra.date(then))
        age = dt.datetime.combine(today, clock.now().timetz()) - dt.datetime.fromisoformat(record["fetched"])
        return age > (_PERIODS_AGE if request.parameters["kind"] == "periods" else _AGE)

    def periods_url(self, table: int) -> str:
        """Address of a small answer, to test whether the service works."""
        return self._url(SERVICE + str(self._periods(table).parameters["path"]))

    def _labels(self, table: int) -> Request:
        path = f"/api/v3/agregados/{table}/metadados"
        return Request(self.name, f"labels-{table}", {"kind": "labels", "path": path, "table": table})

    def _periods(self, table: int) -> Request:
        path = f"/api/v3/agregados/{table}/periodos"
        return Request(self.name, f"periods-{table}", {"kind": "periods", "path": path})

    def _read_periods(self, cache: RequestCache, table: int) -> dict[int, str]:
        request = self._periods(table)
        return sidra.parse_periods(read_answer(cache, request), request)

    def _covered(self, cache: RequestCache, table: int, counts: Mapping[int, int]) -> list[int]:
        """Codes of the municipalities that a table lists; FetchError for an incomplete list."""
        request = listed.localities_request(self.name, table)
        codes = listed.parse_localities(read_answer(cache, request), request)
        try:
            listed.refuse_short_list(codes, counts, request.name)
        except FetchError:
            cache.forget(request)
            raise
        return codes

    def _request(
        self, table: int, crops: Sequence[str], year: int, scope: Mapping[int, int], national: bool
    ) -> Request:
        parameters = {
            "kind": "yields", "table": table, "classification": CROPS[crops[0]].classification,
            "crops": {crop: CROPS[crop].code for crop in crops},
            "variables": sidra.variables(table), "year": year,
            "territories": {str(uf): count for uf, count in sorted(scope.items())}, "national": national,
        }  # fmt: skip
        where = "br" if national else "-".join(map(str, scope))
        more = f"-and-{len(crops) - 1}" if len(crops) > 1 else ""
        return Request(self.name, f"pam-{table}-{year}-{where}-{crops[0]}{more}", parameters, ".json.gz")

    def _modified(self, request: Request) -> str:
        parameters = request.parameters
        periods = parameters["months"] if "months" in parameters else [parameters["year"]]
        found = [m for table, p, m in self.modified if table == parameters["table"] and p in periods]
        return max(found, key=sidra.date, default="")

    def _values(self, request: Request, job: PendingJob) -> bytes:
        try:
            return self._rows(request.parameters)
        except RefusedError as error:
            # Above the limit SIDRA answers 400 with "excedeu o limite" or without a text; the latter can also
            # come from a proxy. A 400 with another text means an invalid request of any size.
            if error.status != 400 or (error.reason and "excedeu" not in error.reason.lower()):
                raise
            if not error.reason and not self._answers(request):
                raise
            raise RequestTooLargeError(str(error), error.hint) from error
        except BusyError as error:
            if error.status != 500:
                raise
            errors = int(job.load().get("server_errors", 0)) + 1
            job.save(server_errors=errors)
            # A 500 means a request that is too large, or a service that is down, where splitting is useless.
            # A request for a single value distinguishes the two.
            if errors >= 2 and self.split(request) and self._answers(request):
                raise RequestTooLargeError(str(error), error.hint) from error
            raise

    def _rows(self, parameters: Mapping[str, Any], country: bool = False) -> bytes:
        """Values of SIDRA, of the whole country or of the request's places."""
        module = _TABLES[parameters["kind"]]
        try:
            return self._get(SIDRA + module.values_path(parameters, "n1/1" if country else ""))
        except RefusedError as error:
            if error.status != 403:
                raise
            # Some networks are refused by this interface, but not by the newer one.
            path, query = module.service_path(parameters, "N1[all]" if country else "")
            try:
                return self._get(SERVICE + path, query)
            except RefusedError as second:
                raise RefusedError(f"{error}; {second}", error.hint, second.status, second.reason) from error

    def _answers(self, request: Request) -> bool:
        first = dict(list(request.parameters["crops"].items())[:1])
        one = {**request.parameters, "crops": first, "variables": request.parameters["variables"][:1]}
        try:
            return bool(self._rows(one, country=True))
        except FetchError:
            return False

    def _url(self, url: str) -> str:
        host = SIDRA if url.startswith(SIDRA) else SERVICE
        return url.replace(host, self.base_url, 1) if self.base_url else url

    def _get(self, url: str, params: Mapping[str, str] | None = None) -> bytes:
        url = self._url(url)
        with SafeSession() as session:
            try:
                return get(session, url, params=params, limit=_LARGEST_bytes)
            except FetchError as error:
                # IBGE's servers lacked secure renegotiation (RFC 5746), which OpenSSL 3 requires (sidrapy
                # 0.1.4); whether they still do is not verified.
                if "UNSAFE_LEGACY_RENEGOTIATION" not in str(error.__cause__):
                    raise
            for host in (SERVICE, SIDRA):
                session.mount(f"{host}/", LegacyAdapter())
            return get(session, url, params=params, limit=_LARGEST_bytes)


class LegacyAdapter(HTTPAdapter):
    """TLS with servers that lack secure renegotiation; certificates are verified as usual."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As the base class, with the option set."""
        context = create_urllib3_context()
        context.options |= _OP_LEGACY_SERVER_CONNECT
        super().init_poolmanager(*args, ssl_context=context, **kwargs)


def _missing(year: int, crops: Sequence[str], published: Collection[int]) -> list[Note]:
    """Notes on crops that PAM lacks in a year; only years to come count as missing."""
    if not crops:
        return []
    to_come = year > max(published, default=year)
    text = f"PAM of {year} is not published ({', '.join(crops)})"
    if year in published:
        text = f"PAM counts {', '.join(crops)} of {year} differently from today: not fetched"
    elif not to_come:
        text = f"PAM has no {', '.join(crops)} of {year}"
    return [Note("yields", text, len(crops), missing=to_come)]
