"""What each table of a store contains and lacks, as values for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from yieldcast import variables
from yieldcast.errors import MissingDataError


def table_inventory(table: str, ds: xr.Dataset) -> dict[str, Any]:
    """Sizes, spans and gaps of one table.

    Args:
        table: one of `yieldcast.data.store.TABLES`.
        ds: its contents.
    """
    describe = {
        "static": _static, "weather": _weather, "yields": _yields, "seasonal": _seasonal,
        "estimates": _estimates, "daily": _daily, "field_seasons": _field_seasons,
        "vegetation": _vegetation, "season_vegetation": _season_vegetation, "crop_area": _crop_area,
    }  # fmt: skip
    return describe[table](ds)


def yields_of(yields: xr.Dataset, crop: str) -> xr.Dataset:
    """The table of yields of one crop, dims (municipality, harvest_year).

    Args:
        yields: table of yields of all crops.
        crop: the crop.

    Raises:
        MissingDataError: the table lacks the crop.
    """
    crops = yields["crop"].values.tolist()
    if crop not in crops:
        raise MissingDataError(
            f"the store has no yields of {crop!r}; it has: {', '.join(crops)}",
            f"Fetch or import yields of {crop}.",
        )
    return yields.sel(crop=crop)


def _static(ds: xr.Dataset) -> dict[str, Any]:
    soil = [name for name in variables.SOIL if name in ds]
    known = np.zeros(ds.sizes["municipality"], dtype=bool)
    for name in soil:
        known |= ~np.isnan(ds[name].values).all(axis=1)
    return {
        "municipalities": ds.sizes["municipality"],
        "states": sorted(set(ds["state"].values.tolist())),
        "soil_variables": soil,
        "soil_layers": ds["soil_layer"].values.tolist() if "soil_layer" in ds.coords else [],
        "municipalities_without_soil": int((~known).sum()),
    }


def _weather(ds: xr.Dataset) -> dict[str, Any]:
    missing = np.isnan(np.stack([ds[name].values for name in variables.WEATHER])).any(axis=0)
    months = ds["time"].values.astype("datetime64[M]").astype(str)
    return {
        "municipalities": ds.sizes["municipality"],
        "months": len(months),
        "first_month": str(months[0]),
        "last_month": str(months[-1]),
        "variables": sorted(map(str, ds.data_vars)),
        "municipalities_without_weather": int(missing.all(axis=1).sum()),
        "missing_months": months[missing.all(axis=0)].tolist(),
        "missing_cells": int(missing.sum()),
    }


def _yields(ds: xr.Dataset) -> dict[str, Any]:
    crops = {}
    for crop, values in zip(ds["crop"].values.tolist(), ds["yield_kg_ha"].values, strict=True):
        present = ~np.isnan(values)
        years = ds["harvest_year"].values[present.any(axis=0)].tolist()
        crops[crop] = {
            "rows": int(present.sum()),
            "municipalities": int(present.any(axis=1).sum()),
            "first_harvest_year": years[0] if years else None,
            "last_harvest_year": years[-1] if years else None,
            "missing_years": sorted(set(range(years[0], years[-1])) - set(years)) if years else [],
        }
    return {"variables": sorted(map(str, ds.data_vars)), "crops": crops}


def _seasonal(ds: xr.Dataset) -> dict[str, Any]:
    starts = ds["forecast_reference_time"].values.astype("datetime64[M]").astype(str)
    return {
        "starts": starts.tolist(),
        "leads": ds.sizes["lead_month"],
        "members": ds.sizes["member"],
        "cells": ds.sizes["cell"],
    }


def _estimates(ds: xr.Dataset) -> dict[str, Any]:
    names = ("source", "crop", "unit", "harvest_year", "reference", "reference_month", "public_from")
    frame = pd.DataFrame({name: ds[name].values for name in (*names, "carried_over")})
    sources = {}
    for source, rows in frame.groupby("source"):
        months = rows["reference_month"].dt.strftime("%Y-%m")
        sources[str(source)] = {
            "entries": len(rows),
            "crops": sorted(set(rows["crop"].tolist())),
            "units": sorted(set(rows["unit"].tolist())),
            "first_harvest_year": int(rows["harvest_year"].min()),
            "last_harvest_year": int(rows["harvest_year"].max()),
            "first_reference_month": str(months.min()),
            "last_reference_month": str(months.max()),
            "newest_public_from": rows["public_from"].max().date().isoformat(),
            "revisions": int(rows.duplicated(list(names[:5])).sum()),
            "carried_over": int(rows["carried_over"].sum()),
        }
    return {"entries": len(frame), "sources": sources}


def _daily(ds: xr.Dataset) -> dict[str, Any]:
    days = ds["time"].values.astype("datetime64[D]").astype(str)
    cells = ds.sizes["unit"] * len(days)
    return {
        "units": ds.sizes["unit"],
        "days": len(days),
        "first_day": str(days[0]),
        "last_day": str(days[-1]),
        "variables": sorted(n for n in map(str, ds.data_vars) if n != "municipality_unit"),
        "municipalities": ds.sizes["municipality"],
        "municipalities_without_unit": int((ds["municipality_unit"].values < 0).sum()),
        "missing_cells": max(
            cells - int(np.count_nonzero(~np.isnan(ds[name].values))) for name in variables.WEATHER
        ),
    }


def _field_seasons(ds: xr.Dataset) -> dict[str, Any]:
    names = ("municipality", "crop", "harvest_year")
    frame = pd.DataFrame({name: ds[name].values for name in names})
    crops = {
        str(crop): {
            "seasons": len(rows),
            "fields": int(rows["municipality"].nunique()),
            "first_harvest_year": int(rows["harvest_year"].min()),
            "last_harvest_year": int(rows["harvest_year"].max()),
        }
        for crop, rows in frame.groupby("crop")
    }
    return {
        "seasons": len(frame),
        "fields": int(frame["municipality"].nunique()),
        "crops": crops,
        "without_sowing_date": int(np.isnat(ds["sowing_date"].values).sum()),
        "without_harvest_date": int(np.isnat(ds["harvest_date"].values).sum()),
    }


def _vegetation(ds: xr.Dataset) -> dict[str, Any]:
    days = ds["date"].values.astype("datetime64[D]")
    return {
        "observations": ds.sizes["observation"],
        "municipalities": len(np.unique(ds["municipality"].values)),
        "first_day": str(days.min()),
        "last_day": str(days.max()),
        "variables": [name for name in ("ndvi", "evi") if name in ds],
        "not_clear": int((ds["clear"].values == 0).sum()),
    }


def _season_vegetation(ds: xr.Dataset) -> dict[str, Any]:
    names, years = ds["summary"].values.astype(str).tolist(), ds["harvest_year"].values.tolist()
    return {
        "municipalities": ds.sizes["municipality"],
        "first_harvest_year": years[0],
        "last_harvest_year": years[-1],
        "variables": names,
        "missing_cells": sum(int(np.isnan(ds[name].values).sum()) for name in names),
    }


def _crop_area(ds: xr.Dataset) -> dict[str, Any]:
    crops: dict[str, Any] = {}
    areas = np.nansum(ds["crop_ha"].values, axis=1)
    for crop, year, area in zip(
        ds["crop"].values.astype(str).tolist(),
        ds["harvest_year"].values.tolist(),
        areas.tolist(),
        strict=True,
    ):
        crops.setdefault(crop, {"mapped_ha": {}})["mapped_ha"][str(year)] = area
    return {
        "municipalities": ds.sizes["municipality"],
        "crops": crops,
        "missing_cells": int(np.isnan(ds["crop_ha"].values).sum()),
    }
