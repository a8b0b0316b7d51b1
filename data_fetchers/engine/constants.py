"""Constants that several fetchers use."""

from __future__ import annotations

Area = tuple[float, float, float, float]  # north, west, south, east (degrees)

ZERO_degC_in_K = 273.15  # definition of the Celsius scale (BIPM, SI brochure, 9th edition, section 2.3.1)
