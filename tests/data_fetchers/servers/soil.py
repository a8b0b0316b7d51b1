"""Stand-in for ISRIC's files: both generations of SoilGrids, values by formula, files made when asked for.

2017 files hold lon/lat pixels, 2.0 a VRT over homolosine tiles of 450 x 450 pixels as ISRIC names them. Only
the surroundings of `country`'s places are filled; sparse blocks elsewhere read as nodata.

Formula: with n = (row + 4) // 8 + 3 * ((column + 4) // 8), row and column of the 1/480 degree grid from
(90 N, 180 W), the stored value is LOW + n % SPAN + k, k = 1.. from the top layer (clay, silt), sand the rest
to 100; 2.0 stores TIMES as much (see PROPERTIES).

Anything may stand before former/ and latest/: a client that keeps what it read finds a new server there.
Settings: srs (what the VRT says of its projection: igh, none, 152160), nodata_tag (false leaves it out),
striped (true: 2017 files in rows instead of tiles), blank (true: no value anywhere).
"""

import re
import threading
from functools import lru_cache

import common
import country
import numpy as np
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.windows import Window

PER_DEGREE = 480
# code of 2017, prop of 2.0 (None: not there), low, span, times in 2.0, type and nodata of 2017
PROPERTIES = {
    "clay": ("CLYPPT", "clay", 20, 35, 10, "uint8", 255),
    "silt": ("SLTPPT", "silt", 10, 15, 10, "uint8", 255),
    "sand": ("SNDPPT", "sand", 0, 0, 10, "uint8", 255),
    "bulk": ("BLDFIE", "bdod", 1200, 400, 0.1, "int16", -32768),
    "coarse": ("CRFVOL", "cfvo", 0, 30, 10, "uint8", 255),
    "cec": ("CECSOL", "cec", 5, 30, 10, "int16", -32768),
    "soc": ("ORCDRC", "soc", 4, 60, 10, "int16", -32768),
    "ph": ("PHIHOX", "phh2o", 45, 25, 1, "uint8", 255),
    "kcl": ("PHIKCL", None, 40, 20, 1, "uint8", 255),
    "nitrogen": (None, "nitrogen", 50, 150, 1, "int16", -32768),
}
LAYERS_20 = ("0-5cm", "5-15cm", "15-30cm", "30-60cm", "60-100cm", "100-200cm")
# Holes around these places (km): a lake, a large lake, a desert of 30 km.
HOLES_km = {5100201: 2.0, 5100302: 6.0, 5100403: 30.0}
PLACES = {row["id"]: (row["lat"], row["lon"]) for row in country.municipalities()}
MARGIN_deg = 0.35
BOXES = [  # south, north, west, east of each state's places
    (
        min(p[0] for p in group) - MARGIN_deg, max(p[0] for p in group) + MARGIN_deg,
        min(p[1] for p in group) - MARGIN_deg, max(p[1] for p in group) + MARGIN_deg,
    )
    for group in (
        [p for code, p in PLACES.items() if code // 100_000 == uf] for uf in country.STATES
    )
]  # fmt: skip
WEST, NORTH, WIDTH_deg, HEIGHT_deg = -58, -11, 9, 14
# ISRIC's homolosine grid: corner and pixel (m) and size (pixels); tiles of 450, 4 x 4 of them in a folder
X0, Y0, PIXEL_m, TILE = -19_949_000, 8_361_500, 250, 450
COLUMNS, ROWS = 159_246, 58_034
RADIUS_m, MERIDIAN_deg = 6_378_137.0, -60.0


def stored(name, k, lat, lon, holes=True):
    """Values of 2017 as float, NaN in holes; `lat` and `lon` broadcast (degrees)."""
    row = np.floor((90 - lat) * PER_DEGREE + 1e-6).astype(int)
    column = np.floor((lon + 180) * PER_DEGREE + 1e-6).astype(int)
    n = (row + 4) // 8 + 3 * ((column + 4) // 8)
    if name == "sand":
        value = 100.0 - stored("clay", k, lat, lon, False) - stored("silt", k, lat, lon, False)
    else:
        low, span = PROPERTIES[name][2:4]
        value = low + n % span + float(k)
    for code, radius in HOLES_km.items() if holes else ():
        at_lat, at_lon = PLACES[code]
        north_km = (lat - at_lat) * 111.195
        east_km = (lon - at_lon) * 111.195 * np.cos(np.radians(at_lat))
        value = np.where(np.hypot(north_km, east_km) < radius, np.nan, value)
    return value


def as_type(value, dtype, nodata):
    return np.where(np.isnan(value), nodata, np.round(value)).astype(dtype)


def tiff(width, height, transform, dtype, nodata, crs, windows, settings, striped=False):
    """Bytes of a GeoTIFF of which only some windows are written: [(Window, values)]."""
    layout = {"blockysize": 4} if striped else {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=width, height=height, count=1, dtype=dtype, crs=crs, transform=transform,
            nodata=nodata if settings.get("nodata_tag", True) else None, compress="deflate", zlevel=1,
            sparse_ok=True, **layout,
        ) as file:  # fmt: skip
            if not settings.get("nodata_tag", True):
                file.write(np.full((height, width), nodata, dtype), 1)
            for window, values in windows:
                file.write(values, 1, window=window)
        return memory.read()


def file_2017(name, k, per_degree, settings):
    dtype, nodata = PROPERTIES[name][5:]
    transform = Affine(1 / per_degree, 0, WEST, 0, -1 / per_degree, NORTH)
    windows = []
    for south, north, west, east in BOXES:
        if settings.get("blank"):
            break
        # whole blocks, so that none is written twice
        step = 256 if not settings.get("striped") else 4
        rows = np.arange(*_blocks((NORTH - north) * per_degree, (NORTH - south) * per_degree, step))
        columns = np.arange(*_blocks((west - WEST) * per_degree, (east - WEST) * per_degree, step))
        rows, columns = rows[rows < HEIGHT_deg * per_degree], columns[columns < WIDTH_deg * per_degree]
        lat = (NORTH - (rows + 0.5) / per_degree)[:, None]
        lon = (WEST + (columns + 0.5) / per_degree)[None, :]
        window = Window(columns[0], rows[0], len(columns), len(rows))
        windows.append((window, as_type(stored(name, k, lat, lon), dtype, nodata)))
    size = WIDTH_deg * per_degree, HEIGHT_deg * per_degree
    return tiff(*size, transform, dtype, nodata, "EPSG:4326", windows, settings, settings.get("striped"))


def _blocks(first, last, step):
    return max(0, int(first // step) * step), int(-(-last // step)) * step


def to_homolosine(lat, lon):
    """Goode's homolosine between 40 S and 40 N is sinusoidal, lobe by lobe (m)."""
    x = RADIUS_m * np.radians(MERIDIAN_deg + (lon - MERIDIAN_deg) * np.cos(np.radians(lat)))
    return x, RADIUS_m * np.radians(lat)


def from_homolosine(x, y):
    lat = np.degrees(y / RADIUS_m)
    lon = MERIDIAN_deg + (np.degrees(x / RADIUS_m) - MERIDIAN_deg) / np.cos(np.radians(lat))
    return lat, lon


def in_homolosine(name, k, column, row, width, height, pixel):
    """Values of 2.0 in a window of a grid of `pixel` metres from ISRIC's corner, int16."""
    x = X0 + (column + np.arange(width) + 0.5) * pixel
    y = Y0 - (row + np.arange(height) + 0.5) * pixel
    lat, lon = from_homolosine(x[None, :], y[:, None])
    return as_type(stored(name, k, lat, lon) * PROPERTIES[name][4], "int16", -32768)


@lru_cache(1)
def tiles():
    """{(column, row) of a tile of 450 pixels} near the places."""
    found = set()
    for south, north, west, east in BOXES:
        corners = [to_homolosine(a, b) for a in (south, north) for b in (west, east)]
        columns = [int((x - X0) // (PIXEL_m * TILE)) for x, _ in corners]
        rows = [int((Y0 - y) // (PIXEL_m * TILE)) for _, y in corners]
        found |= {
            (c, r) for c in range(min(columns), max(columns) + 1) for r in range(min(rows), max(rows) + 1)
        }
    return found


def tile_name(column, row):
    group = f"tileSG-{row // 4:03d}-{column // 4:03d}"
    return f"{group}/{group}_{row % 4 + 1}-{column % 4 + 1}.tif"


def vrt(stem, settings):
    srs = {"none": "", "152160": "EPSG:152160", "igh": rasterio.CRS.from_string("ESRI:54052").to_wkt()}
    sources = "".join(
        f'<ComplexSource><SourceFilename relativeToVRT="1">./{stem}/{tile_name(c, r)}</SourceFilename>'
        f"<SourceBand>1</SourceBand>"
        f'<SourceProperties RasterXSize="{TILE}" RasterYSize="{TILE}" DataType="Int16" BlockXSize="128" '
        f'BlockYSize="128"/><SrcRect xOff="0" yOff="0" xSize="{TILE}" ySize="{TILE}"/>'
        f'<DstRect xOff="{c * TILE}" yOff="{r * TILE}" xSize="{TILE}" ySize="{TILE}"/>'
        f"<NODATA>-32768</NODATA></ComplexSource>"
        for c, r in sorted(tiles())
    )
    said = srs[settings.get("srs", "igh")]
    tag = "<NoDataValue>-32768</NoDataValue>" if settings.get("nodata_tag", True) else ""
    return (
        f'<VRTDataset rasterXSize="{COLUMNS}" rasterYSize="{ROWS}">'
        + (f"<SRS>{said}</SRS>" if said else "")
        + f"<GeoTransform>{X0}, {PIXEL_m}, 0, {Y0}, 0, -{PIXEL_m}</GeoTransform>"
        f'<VRTRasterBand dataType="Int16" band="1">{tag}{sources}</VRTRasterBand></VRTDataset>'
    ).encode()


def file_tile(name, k, column, row, settings):
    values = in_homolosine(name, k, column * TILE, row * TILE, TILE, TILE, PIXEL_m)
    x, y = X0 + column * TILE * PIXEL_m, Y0 - row * TILE * PIXEL_m
    transform = Affine(PIXEL_m, 0, x, 0, -PIXEL_m, y)
    return tiff(
        TILE, TILE, transform, "int16", -32768, "ESRI:54052", [(Window(0, 0, TILE, TILE), values)], settings
    )


def file_aggregated(name, k, pixel, settings):
    """One file of 2.0 at 1000 or 5000 m over the places' part of the globe."""
    columns = [c for c, _ in tiles()]
    rows = [r for _, r in tiles()]
    shrink = pixel // PIXEL_m
    column, row = min(columns) * TILE // shrink, min(rows) * TILE // shrink
    width = (max(columns) + 1) * TILE // shrink - column
    height = (max(rows) + 1) * TILE // shrink - row
    values = in_homolosine(name, k, column, row, width, height, pixel)
    transform = Affine(pixel, 0, X0 + column * pixel, 0, -pixel, Y0 - row * pixel)
    window = Window(0, 0, width, height)
    return tiff(width, height, transform, "int16", -32768, "ESRI:54052", [(window, values)], settings)


class Soil(common.World):
    """Files by path; each is made once."""

    def __init__(self):
        super().__init__()
        self.settings = {}
        self.made = {}
        self.making = threading.Lock()

    def control(self, request):
        if request.path.endswith("/reset"):
            with self.lock:
                self.settings = {}
        return super().control(request)

    def answer(self, request):
        settings = dict(self.settings)
        path = re.sub(r"^.*?/(former|latest)/", r"\1/", request.path)
        key = (path, *sorted(settings.items()))
        with self.making:
            if key not in self.made:
                self.made[key] = self.make(path.split("/"), settings)
            body = self.made[key]
        if body is None:
            return common.Reply(404, common.HTML, "text/html")
        return common.ranged(common.Reply(200, body, "application/octet-stream"), request.headers)

    def make(self, parts, settings):
        try:
            if parts[:2] == ["former", "2017-03-10"]:
                return self.make_2017(parts[2:], settings)
            if parts[:2] == ["latest", "data"]:
                return self.make_20(parts[2:], settings)
            if parts[:2] == ["latest", "data_aggregated"]:
                prop, depth, rest = parts[4].split("_", 2)
                metres = int(parts[2].removesuffix("m"))
                if parts[3] != prop or rest != f"mean_{metres}.tif":
                    return None
                return file_aggregated(by_prop(prop), 1 + LAYERS_20.index(depth), metres, settings)
        except (ValueError, IndexError, KeyError, StopIteration):
            return None
        return None

    def make_2017(self, parts, settings):
        folder, file = "/".join(parts[:-1]), parts[-1]
        code, mean, layer, size, end = file.split("_")
        per_degree = {"data": 480, "aggregated/1km": 120, "aggregated/5km": 24}[folder]
        sizes = {480: "250m", 120: "1km", 24: "5km"}
        k = int(layer.removeprefix("sl"))
        if mean != "M" or end != "ll.tif" or size != sizes[per_degree] or not 1 <= k <= 7:
            return None
        name = next(name for name, row in PROPERTIES.items() if row[0] == code)
        return file_2017(name, k, per_degree, settings)

    def make_20(self, parts, settings):
        stem = parts[1].removesuffix(".vrt")
        prop, depth, mean = stem.split("_")
        if parts[0] != prop or mean != "mean":
            return None
        name, k = by_prop(prop), 1 + LAYERS_20.index(depth)
        if parts[1:] == [f"{stem}.vrt"]:
            return vrt(stem, settings)
        where = {tile_name(c, r): (c, r) for c, r in tiles()}
        tile = where["/".join(parts[2:])]
        return file_tile(name, k, *tile, settings)


def by_prop(prop):
    return {row[1]: name for name, row in PROPERTIES.items() if row[1]}[prop]


if __name__ == "__main__":
    common.main(Soil())
