"""Answers of SIDRA, built from single values."""

from __future__ import annotations

import json

UNITS = {109: "Hectares", 216: "Hectares", 214: "Toneladas", 112: "Quilogramas por Hectare"}
# As recorded for /values/t/1612/p/2018/v/allxp/n1/1 (AlanTaranti/sidrapy, tests)
LABELS = {
    "place": "Município", "year": "Ano", "variable": "Variável",
    "product": "Produto das lavouras temporárias",
}  # fmt: skip
HEADER = {
    "NC": "Nível Territorial (Código)", "NN": "Nível Territorial", "MC": "Unidade de Medida (Código)",
    "MN": "Unidade de Medida", "V": "Valor",
}  # fmt: skip


def answer(
    cells: dict[tuple[int, int, int, int], str], order=("place", "year", "variable", "product")
) -> bytes:
    """A SIDRA answer of {(place, year, variable, product): V}, its D columns in any order."""
    header = dict(HEADER)
    for i, role in enumerate(order, 1):
        header |= {f"D{i}C": f"{LABELS[role]} (Código)", f"D{i}N": LABELS[role]}
    rows = [header]
    for (place, year, variable, product), text in cells.items():
        codes = {"place": place, "year": year, "variable": variable, "product": product}
        row = {"NC": "6", "NN": "Município", "MC": "1", "MN": UNITS[variable], "V": text}
        for i, role in enumerate(order, 1):
            row |= {f"D{i}C": str(codes[role]), f"D{i}N": "?"}
        rows.append(row)
    return json.dumps(rows).encode()


def parameters(crops: dict[str, int], year: int = 2020, territories: dict[str, int] | None = None) -> dict:
    return {
        "kind": "yields", "table": 1612, "classification": 81, "crops": crops, "year": year,
        "variables": [109, 112, 214, 216], "territories": territories or {"51": 2}, "national": False,
    }  # fmt: skip


def cells(place: int, product: int, values: dict[int, str], year: int = 2020) -> dict:
    return {(place, year, variable, product): text for variable, text in values.items()}


FULL = {109: "100", 216: "90", 214: "270", 112: "3000"}


def whole() -> dict:
    return cells(5100001, 2713, FULL) | cells(5100002, 2713, FULL)
