"""The style that QGIS gives a layer of a GeoPackage when it is opened: classes of the median, in viridis.

QGIS looks for it in the table ``layer_styles``, into which its own "save style in the database" writes, and
reads QML, the XML of its symbology.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

_CLASSES = 8
# Viridis, as in web/colours.js, where the tests check that readers who do not see all colours tell it apart.
_VIRIDIS = (
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b",
    "#fde725",
)  # fmt: skip
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_OUTLINE = {"outline_color": "255,255,255,140", "outline_style": "solid", "outline_width": "0.1"}
_TABLE = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
  f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30),
  styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
INSERT INTO gpkg_contents (table_name, data_type, identifier, description)
  VALUES ('layer_styles', 'attributes', 'layer_styles', '');
"""


def add_styles(
    database: sqlite3.Connection, layers: Mapping[str, NDArray[np.float64]], column: str, day: str
) -> None:
    """Give layers of a GeoPackage a style that QGIS uses when it opens them.

    Args:
        database: the GeoPackage.
        layers: name of each layer -> values of `column`, NaN where missing; at least one is known.
        column: by which the polygons are coloured.
        day: date of the style, ``2017-11-15``.
    """  # fmt: skip
    database.executescript(_TABLE)
    for layer, values in layers.items():
        (geometry,) = database.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, styleQML, styleSLD, useAsDefault, description, owner, update_time) "
            "VALUES ('', '', ?, ?, ?, ?, '', 1, '', '', ?)",
            (layer, geometry, column, choropleth_qml(values, column), f"{day}T00:00:00.000Z"),
        )


def choropleth_qml(values: NDArray[np.float64], column: str) -> str:
    """QML of a graduated fill: classes with round limits over all values, dark to light.

    Args:
        values: of the column, NaN where missing; at least one is known.
        column: name of the column.
    """
    limits = class_limits(values)
    root = ElementTree.Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        root, "renderer-v2", type="graduatedSymbol", attr=column, graduatedMethod="GraduatedColor",
        symbollevels="0", forceraster="0", enableorderby="0",
    )  # fmt: skip
    ranges, symbols = (ElementTree.SubElement(renderer, name) for name in ("ranges", "symbols"))
    for k, (low, high) in enumerate(pairwise(limits)):
        ElementTree.SubElement(
            ranges, "range", lower=f"{low:.6f}", upper=f"{high:.6f}", symbol=str(k), render="true",
            label=f"{low:g} - {high:g}",
        )  # fmt: skip
        symbol = ElementTree.SubElement(
            symbols, "symbol", type="fill", name=str(k), alpha="1", clip_to_extent="1", force_rhr="0"
        )
        layer = ElementTree.SubElement(
            symbol, "layer", {"class": "SimpleFill"}, enabled="1", locked="0", **{"pass": "0"}
        )
        options = ElementTree.SubElement(layer, "Option", type="Map")
        fill = {"color": _colour(k / max(len(limits) - 2, 1)), "style": "solid", **_OUTLINE}
        for name, value in fill.items():
            ElementTree.SubElement(options, "Option", type="QString", name=name, value=value)
    body = ElementTree.tostring(root, encoding="unicode")
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{body}\n"


def class_limits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(class + 1,) round limits of at most about eight classes that hold every value.

    Args:
        values: NaN where missing; at least one is known.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    rough = max(high - low, 1.0) / _CLASSES
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(factor for factor in _STEPS if factor * power >= rough * 0.9999) * power
    first, last = np.floor(low / step), np.ceil(high / step)
    limits: NDArray[np.float64] = np.arange(first, max(last, first + 1) + 1) * step
    return limits


def _colour(share: float) -> str:
    """Colour of the palette at a position 0 to 1, as QGIS writes it: red, green, blue, opacity."""
    at = share * (len(_VIRIDIS) - 1)
    low, high = int(np.floor(at)), int(np.ceil(at))
    pair = [[int(_VIRIDIS[i][k : k + 2], 16) for k in (1, 3, 5)] for i in (low, high)]
    return ",".join(str(round(a + (b - a) * (at - low))) for a, b in zip(*pair, strict=True)) + ",255"
