"""A Climate Data Store in process, and fetches and tables of SEAS5 from it."""

import datetime as dt
import io
import json
import zipfile

import numpy as np
import xarray as xr

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import RequestTooLargeError
from data_fetchers.seas5.source import Seas5, read_seasonal

TODAY = dt.date(2026, 11, 21)
AREA = (-11.0, -58.0, -14.0, -54.0)  # holds the eight places of MT, not the sixteen of GO and PR
NOVEMBER = np.datetime64("2024-11", "M")


class Store:
    """The Climate Data Store in process: answers by formula, faults once or always, edits of the contents."""

    made: dict = {}  # noqa: RUF012  answers are the same in all tests

    def __init__(self, files, faults=(), edit=None, limit=10**9, error=None):
        self.files, self.faults, self.edit, self.limit, self.error = files, list(faults), edit, limit, error
        self.asked: list[dict] = []

    def retrieve(self, dataset, request, target, job):
        self.asked.append(request)
        if self.error:
            raise self.error
        if len(request["variable"]) * len(request["year"]) > self.limit:
            raise RequestTooLargeError("cost limits exceeded")
        fault = self.faults.pop(0) if self.faults else None
        key = json.dumps([request, fault])
        if key not in self.made:
            self.made[key] = self.files.make(dataset, request, fault)
        members = [(name, self._edited(content)) for name, content in self.made[key]]
        if len(members) == 1:
            target.write_bytes(members[0][1])
        else:
            with zipfile.ZipFile(target, "w") as archive:
                for name, content in members:
                    archive.writestr(name, content)
        return {"job_id": "1"}

    def _edited(self, content):
        if self.edit is None:
            return content
        with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as ds:
            return bytes(self.edit(ds.load()).to_netcdf(engine="h5netcdf"))


def fetched(tmp_path, quick, store, starts, **settings):
    """Source and summary after a fetch of these starts."""
    source = Seas5(store, area=AREA, **settings)
    requests, _ = source.seasonal_requests(starts, TODAY)
    (summary,) = fetch_requests([(source, requests)], tmp_path, retry=quick, today=TODAY)
    return source, summary


def table_of(tmp_path, quick, store, static, starts, **settings):
    source, summary = fetched(tmp_path, quick, store, starts, **settings)
    assert not summary.missing
    return read_seasonal(RequestCache(tmp_path / "seas5"), source, starts, static)


def texts(notes):
    return {note.text: note.count for note in notes}
