"""A small country in the shape of Brazil's services: places, squares for polygons, weather by formula."""

from __future__ import annotations

import numpy as np

# UF code -> (abbreviation, name, region id, region abbreviation, region name)
STATES = {
    51: ("MT", "Mato Grosso", 5, "CO", "Centro-Oeste"),
    52: ("GO", "Goiás", 5, "CO", "Centro-Oeste"),
    41: ("PR", "Paraná", 4, "S", "Sul"),
}
_REGIONS = {
    1: ("N", "Norte"),
    2: ("NE", "Nordeste"),
    3: ("SE", "Sudeste"),
    4: ("S", "Sul"),
    5: ("CO", "Centro-Oeste"),
}
# UF code -> abbreviation, name, number of municipalities (IBGE, 2025)
_UNITS = {
    11: ("RO", "Rondônia", 52), 12: ("AC", "Acre", 22), 13: ("AM", "Amazonas", 62), 14: ("RR", "Roraima", 15),
    15: ("PA", "Pará", 144), 16: ("AP", "Amapá", 16), 17: ("TO", "Tocantins", 139),
    21: ("MA", "Maranhão", 217), 22: ("PI", "Piauí", 224), 23: ("CE", "Ceará", 184),
    24: ("RN", "Rio Grande do Norte", 167), 25: ("PB", "Paraíba", 223), 26: ("PE", "Pernambuco", 185),
    27: ("AL", "Alagoas", 102), 28: ("SE", "Sergipe", 75), 29: ("BA", "Bahia", 417),
    31: ("MG", "Minas Gerais", 853), 32: ("ES", "Espírito Santo", 78), 33: ("RJ", "Rio de Janeiro", 92),
    35: ("SP", "São Paulo", 645), 41: ("PR", "Paraná", 399), 42: ("SC", "Santa Catarina", 295),
    43: ("RS", "Rio Grande do Sul", 497), 50: ("MS", "Mato Grosso do Sul", 79),
    51: ("MT", "Mato Grosso", 142), 52: ("GO", "Goiás", 246), 53: ("DF", "Distrito Federal", 1),
}  # fmt: skip
STATES_OF_BRAZIL = {
    uf: (short, name, uf // 10, *_REGIONS[uf // 10]) for uf, (short, name, _) in _UNITS.items()
}
_ORIGIN = {51: (-12.0, -57.0), 52: (-16.0, -51.0), 41: (-24.0, -53.0)}
SIDE_deg = 0.4  # of each municipality's square
PER_STATE = 8


def municipalities():
    """[{id, name, uf, lat, lon}], sorted by id; names with quotes, accents and `<` among them."""
    names = ["Sorriso", "Sant'Ana", "São João", 'Vila "Nova"', "Óbidos <Sul>", "Água Boa", "Ipê", "Cruz & Sá"]
    rows = []
    for uf, (lat, lon) in _ORIGIN.items():
        for i in range(PER_STATE):
            rows.append(
                {
                    "id": uf * 100_000 + (i + 1) * 100 + i,
                    "name": names[i],
                    "uf": uf,
                    "lat": round(lat - 0.5 * (i // 4), 4),
                    "lon": round(lon + 0.5 * (i % 4), 4),
                }
            )
    return sorted(rows, key=lambda r: r["id"])


def whole(*codes):
    """[{id, name, uf, lat, lon}] of 5,571 municipalities in 27 states, those of `codes` among them.

    All lie on a grid of 0.02 degrees in Mato Grosso, so that few cells of weather and soil serve them.
    """
    rows = []
    special = {1100205, 1400050, 1600030, 2206720, 2605459, 3100104, 4314548, *codes}
    for uf, (_short, _name, count) in _UNITS.items():
        own = sorted(code for code in special if code // 100_000 == uf)
        numbered = (uf * 100_000 + 10 * i + 1 for i in range(1, 2 * count))
        ids = own + [code for code in numbered if code not in special][: count - len(own)]
        rows += [{"id": code, "name": f"Lugar {code}", "uf": uf} for code in ids]
    for i, row in enumerate(sorted(rows, key=lambda r: r["id"])):
        row |= {"lat": round(-11.8 - 0.014 * (i // 90), 4), "lon": round(-57.1 + 0.02 * (i % 90), 4)}
    return sorted(rows, key=lambda r: r["id"])


def square(lat, lon, side=SIDE_deg):
    """A closed ring around a centroid: [[lon, lat], ...]."""
    h = side / 2
    return [
        [lon - h, lat - h],
        [lon + h, lat - h],
        [lon + h, lat + h],
        [lon - h, lat + h],
        [lon - h, lat - h],
    ]


def day_numbers(days):
    """Days since 1970 of a datetime64 array."""
    return np.asarray(days).astype("datetime64[D]").astype(np.int64)


def tmax_degC(lat, lon, days):
    """Daily maximum by formula, broadcast over (days, lat, lon)."""
    n = day_numbers(days)[:, None, None]
    lat, lon = np.asarray(lat)[None, :, None], np.asarray(lon)[None, None, :]
    season = np.cos(2 * np.pi * (n - 15) / 365.25) * (-lat) / 8
    noise = 2.5 * np.sin(n * 0.73 + lat * 1.9 + lon * 0.6)
    return 30.0 + 0.15 * (lat + 15) + season + noise + 0.002 * (n - 16000) / 30


def tmin_degC(lat, lon, days):
    """Daily minimum by formula: 5 to 15 degC below the maximum."""
    n = day_numbers(days)[:, None, None]
    lat, lon = np.asarray(lat)[None, :, None], np.asarray(lon)[None, None, :]
    lat, lon = np.asarray(lat).ravel(), np.asarray(lon).ravel()
    spread = 10 + 4 * np.sin(n * 0.41 + lat[None, :, None] + lon[None, None, :] * 0.3)
    return tmax_degC(lat, lon, days) - spread


def rain_mm(lat, lon, days):
    """Daily rain by formula, never negative."""
    n = day_numbers(days)[:, None, None]
    lat, lon = np.asarray(lat).ravel()[None, :, None], np.asarray(lon).ravel()[None, None, :]
    wet = np.cos(2 * np.pi * (n - 10) / 365.25) + np.sin(n * 1.37 + lat * 3.1 + lon * 2.3)
    return np.maximum(0, 4 * wet)


def dewpoint_degC(lat, lon, days):
    """Daily mean dew point by formula: 2 degC below the minimum."""
    return tmin_degC(lat, lon, days) - 2


def radiation_MJ_m2(lat, lon, days):
    """Daily radiation by formula: 12 to 24 MJ/m2, less on days with rain."""
    return 24 - np.minimum(rain_mm(lat, lon, days), 12)


def wind_components_m_s(lat, lon, days):
    """Daily means of the eastward and northward wind at 10 m by formula."""
    n = day_numbers(days)[:, None, None]
    lat, lon = np.asarray(lat).ravel()[None, :, None], np.asarray(lon).ravel()[None, None, :]
    angle = 0.1 * n + 0.2 * lat + 0.3 * lon
    return 3 * np.cos(angle), 2 * np.sin(angle)


def wind_m_s(lat, lon, days):
    """Daily mean wind speed at 2 m by formula."""
    return 0.748 * np.hypot(*wind_components_m_s(lat, lon, days))
