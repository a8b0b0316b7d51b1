"""What the Climate Data Store's stand-in sends: catalogue entries, and files made for a request."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import math
import zipfile

DATASETS = (
    "reanalysis-era5-single-levels", "reanalysis-era5-single-levels-monthly-means",
    "derived-era5-single-levels-daily-statistics", "derived-era5-land-daily-statistics",
    "reanalysis-era5-land", "reanalysis-era5-land-monthly-means", "sis-agrometeorological-indicators",
    "seasonal-monthly-single-levels", "seasonal-original-single-levels",
    "seasonal-postprocessed-single-levels", "test-dataset",
)  # fmt: skip
TITLES = {
    "cc-by": "CC-BY licence",
    "licence-to-use-copernicus-products": "Licence to use Copernicus Products",
}


def licence(base, name, revision):
    document = f"{base}/documents/licences/{name}/{name}_{revision}"
    return {
        "id": name, "label": TITLES[name], "revision": revision, "scope": "dataset", "portal": None,
        "contents_url": f"{document}.md", "attachment_url": f"{document}.pdf",
    }  # fmt: skip


def collection(base, root, dataset, licences):
    links = [
        {"rel": "license", "href": licence(base, x, r)["attachment_url"], "title": TITLES[x]}
        for x, r in licences
    ]
    links += [
        {"rel": "self", "href": f"{root}/catalogue/v1/collections/{dataset}", "type": "application/json"},
        {"rel": "retrieve", "href": f"{root}/retrieve/v1/processes/{dataset}", "type": "application/json"},
    ]
    return {
        "type": "Collection", "id": dataset, "stac_version": "1.0.0", "title": dataset, "description": "",
        "license": "proprietary", "links": links,
        "published": "2018-06-14T00:00:00Z", "updated": "2026-11-20T00:00:00Z",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["1940-01-01T00:00:00Z", None]]},
        },
    }  # fmt: skip


def make(dataset, inputs, fault, latest):
    """[(member name, contents), ...]; empty when nothing of what is asked is out."""
    if dataset == "test-dataset":
        out = not latest or min(inputs["year"]) <= latest[:4]
        return [("data_0.nc", tiny(int(inputs.get("points", ["4"])[0])))] if out else []
    module = "seas5_files" if dataset.startswith("seasonal") else "cds_files"
    return importlib.import_module(module).make(dataset, inputs, fault, latest)


def tiny(points):
    """A netCDF of random numbers, 8 bytes each: it does not compress."""
    import numpy as np
    import xarray as xr

    values = np.random.default_rng(1).random(points)
    return bytes(xr.Dataset({"t2m": ("point", values)}).to_netcdf(engine="h5netcdf"))


def packed(files, kind, name):
    """More than one file comes as a zip, whatever was asked for."""
    if len(files) == 1 and kind not in ("zip", "zip_evil"):
        return f"{name}.nc", files[0][1]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for member, body in files:
            file.writestr("../evil.nc" if kind == "zip_evil" else member, body)
    return f"{name}.zip", archive.getvalue()


def listed(inputs):
    """As the server keeps a request: lists of texts."""
    return {k: [str(x) for x in (v if isinstance(v, list) else [v])] for k, v in inputs.items()}


def cost(inputs):
    return float(math.prod(len(values) for key, values in listed(inputs).items() if key != "area"))


def now():
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()
