"""Every table of a store: the check of its contract, and how to get it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import xarray as xr

from yieldcast.data import schema
from yieldcast.data.crop_area import check_crop_area
from yieldcast.data.daily import check_daily
from yieldcast.data.estimates import check_estimates
from yieldcast.data.field_seasons import check_field_seasons
from yieldcast.data.vegetation import check_season_vegetation, check_vegetation

CHECKS: Mapping[str, Callable[[xr.Dataset], xr.Dataset]] = MappingProxyType(
    {
        "static": schema.check_static,
        "weather": schema.check_weather,
        "yields": schema.check_yields,
        "seasonal": schema.check_seasonal,
        "estimates": check_estimates,
        "daily": check_daily,
        "field_seasons": check_field_seasons,
        "vegetation": check_vegetation,
        "season_vegetation": check_season_vegetation,
        "crop_area": check_crop_area,
    }
)
TABLES = tuple(CHECKS)
# Files that belong to a store: tables, and the boundaries of its places.
TABLE_FILE = re.compile(rf"({'|'.join(TABLES)})-[0-9a-f]{{12}}\.nc|mesh-[0-9a-f]{{12}}\.geojson")
HOW_TO_GET: Mapping[str, str] = MappingProxyType(
    {
        "static": "Get the places: `yieldcast fetch places` or `yieldcast import --places FILE ...`.",
        "weather": "Get it: `yieldcast fetch weather --years ...` or `yieldcast import --weather FILE ...`.",
        "yields": "Get them: `yieldcast fetch yields --years ...` or `yieldcast import --yields FILE ...`.",
        "seasonal": "Get it: `yieldcast fetch seasonal --starts ...`.",
        "estimates": "Get them: `yieldcast fetch estimates --years ...` or `yieldcast import --estimates "
        "FILE`.",
        "daily": "Get it: `yieldcast fetch weather --daily ...` or `yieldcast import --daily-weather FILE`.",
        "field_seasons": "Get them: `yieldcast import --fields FILE ...`.",
        "vegetation": "Get it: `yieldcast import --vegetation FILE`.",
        "season_vegetation": "Get it: `yieldcast import --vegetation FILE` with summaries of seasons.",
        "crop_area": "Get it: `yieldcast import --crop-area FILE`, a file of yieldcast crop-type mask.",
    }
)
