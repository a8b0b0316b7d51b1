"""What the water of each month added to the medians, as data of the report; `web/parts.js` draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from yieldcast.forecasting.water_steps import WaterMonths
from yieldcast.reporting.html_map import base64_text, varints, zigzag


def water_columns(forecast: xr.Dataset, water: WaterMonths | None) -> dict[str, Any] | None:
    """Months and packed whole kg/ha of the municipalities of a forecast; None without any.

    Args:
        forecast: a checked table.
        water: of its date, or None.

    Returns:
        months: "2017-10"; places: for each municipality and month whole kg/ha, packed, adding up to the whole
        kg/ha of all months.
    """
    if water is None:
        return None
    position = {int(code): row for row, code in enumerate(water.codes)}
    rows = [position[int(code)] for code in forecast["municipality"].values]
    total = np.round(np.cumsum(water.kg_ha[rows], axis=1)).astype(np.int64)
    whole = np.diff(total, axis=1, prepend=0)
    return {"months": list(water.months), "places": base64_text(varints(zigzag(whole.ravel())))}
