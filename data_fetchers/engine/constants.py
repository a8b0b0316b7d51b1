"""Constants that several fetchers use."""

from __future__ import annotations

Area = tuple[float, float, float, float]  # north, west, south, east (degrees)

# From Roraima to Rio Grande do Sul and from Acre to Fernando de Noronha (32.4 W), in whole degrees.
BRAZIL: Area = (6.0, -74.0, -34.0, -32.0)
ZERO_degC_in_K = 273.15  # definition of the Celsius scale (BIPM, SI brochure, 9th edition, section 2.3.1)
