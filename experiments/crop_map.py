"""Crop-type maps of two rasters: accuracy at left-out pixels, block sizes, time and memory of the command.

    python experiments/crop_map.py --data DIR --encoder presto_encoder.keras --work FOLDER

DIR holds a MODIS cube of Mato Grosso with labelled points, labelled Sentinel series of Europe with their
legend, and a Sentinel patch of Belgium with WorldCereal's cropland map. Cubes, runs and maps are made in
FOLDER by `yieldcast crop-type train` and `yieldcast crop-type map`. Writes crop-map.json and crop-map.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from rasterio.crs import CRS
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GroupKFold

from results_file import heading, markdown_table, write
from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.crop_types.heads import HeadName
from yieldcast.data.files import atomic_text
from yieldcast.pixels.cubes import create_cube, write_cube
from yieldcast.pixels.series_tables import TableSettings, series_of

SEASON, FIRST_DAY = "2010-09-01", "2010-09-14"
STEPS, FOLDS = 23, 5
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
ACCURACY_BAR, CUBE_s, PATCH_s = 0.97, 60.0, 40.0
NOTHING = 65535  # in the patch
PATCH_SETTINGS = (("no", "weights"), ("yes", "weights"), ("yes", "none"))  # location, balance
PATCH_BANDS = (
    "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B11", "B12", "VV", "VH", "temperature", "precipitation",
)  # fmt: skip
REPEATS = (1, 3, 9)  # times the width and the height of the cube, to see how memory grows
Results = dict[str, Any]


def yieldcast(*arguments: object) -> tuple[float, float]:
    """Run a command; its CPU seconds, and the most memory it used (MB)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "yieldcast", *map(str, arguments)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def mato_grosso(folder: Path, work: Path) -> pd.DataFrame:
    """Write the cube; the labelled series of its points."""
    with np.load(folder / "brazil/mato_grosso_mod13q1_cube_2007_2013.npz") as content:
        cube = dict(content)
    size, corner = cube["pixel_size"], cube["origin_xy"]
    shape = cube["ndvi"].shape
    x, y = (
        corner[0] + size[0] * (np.arange(shape[2]) + 0.5),
        corner[1] - size[1] * (np.arange(shape[1]) + 0.5),
    )
    bands = {}
    for name in ("ndvi", "evi", "red", "nir", "blue", "mir"):
        scale = 1e-4 if name in ("ndvi", "evi") else 1.0
        values = np.where(cube[name] == cube["nodata"], np.nan, cube[name] * scale)
        bands[name.upper()] = values.astype(np.float32)
    days = cube["dates"].astype("datetime64[D]")
    wkt = CRS.from_proj4(SINUSOIDAL).to_wkt()
    write_cube(work / "cube.nc", create_cube(bands, days, y, x, wkt, "16-days"))
    first = int(np.flatnonzero(days == np.datetime64(FIRST_DAY))[0])
    season = slice(first, first + STEPS)
    for times in REPEATS:
        across = x[0] + size[0] * np.arange(shape[2] * times)
        down = y[0] - size[1] * np.arange(shape[1] * times)
        tiled = {name: np.tile(of[season], (1, times, times)) for name, of in bands.items()}
        write_cube(work / f"cube_{times}.nc", create_cube(tiled, days[season], down, across, wkt, "16-days"))
    points = pd.read_csv(folder / "brazil/mato_grosso_cube_points.csv").rename(columns={"from": "season"})
    rows = []
    for number, point in enumerate(points.itertuples()):
        start = int(np.flatnonzero(days >= np.datetime64(f"{point.season[:4]}-09-10"))[0])
        if start + STEPS > len(days):
            continue
        seen = {
            f"{name}_{k:02d}": of[start + k, point.row, point.col]
            for name, of in bands.items()
            for k in range(STEPS)
        }
        rows.append({
            "sample_id": number, "lat": point.latitude, "lon": point.longitude, "label": point.label,
            "start_date": str(days[start]), "end_date": str(days[start + STEPS - 1]), "season": point.season,
            "location_id": f"{point.row}_{point.col}", "row": point.row, "col": point.col, **seen,
        })  # fmt: skip
    return pd.DataFrame(rows)


def by_folds(points: pd.DataFrame, work: Path, encoder: str, head: HeadName) -> Results:
    """Points of the season, shown by a map that was made from the points of other pixels, fold by fold.

    With an encoder by the commands; trees on the raw series without the map, at the points only. Maps
    that lie in the folder are not made again.
    """
    found: list[pd.DataFrame] = []
    for k, (train_rows, test_rows) in enumerate(
        GroupKFold(FOLDS).split(points, groups=points["location_id"])
    ):
        table = points.iloc[train_rows].drop(columns=["row", "col", "season"])
        held = points.iloc[test_rows]
        held = held[held["season"] == SEASON]
        if encoder == "none":
            model = train(series_of(table, TableSettings("label")).series, CropTypeSettings(head), None)
            probability = model.predict(series_of(held, TableSettings("label")).series, None)
            shown = np.array(model.classes)[probability.argmax(axis=1)].tolist()
        else:
            shown = _mapped(table, held, work, f"{Path(encoder).stem}-{head}-{k}", encoder)
        found.append(pd.DataFrame({"true": held["label"].to_numpy(), "map": shown}))
    both = pd.concat(found)
    classes = sorted(set(both["true"]))
    return {
        "points": len(both), "accuracy": float(accuracy_score(both["true"], both["map"])),
        "macro_f1": float(f1_score(both["true"], both["map"], labels=classes, average="macro")),
    }  # fmt: skip


def _mapped(table: pd.DataFrame, held: pd.DataFrame, work: Path, name: str, encoder: str) -> list[str]:
    """Classes of points in the map of a run that was trained on a table."""
    file, run, out = (work / f"{name}{end}" for end in (".csv", "-run", "-map"))
    if not (out / "map.json").exists():
        table.to_csv(file, index=False)
        yieldcast("crop-type", "train", file, "--encoder", encoder, "--label", "label", "--out", run)
        yieldcast("crop-type", "map", run, "--input", work / "cube.nc", "--start", FIRST_DAY, "--out", out)
    classes = json.loads((out / "map.json").read_text())["classes"]
    with rasterio.open(out / "class.tif") as raster:
        values = raster.read(1)
    return [classes[values[row, col] - 1] for row, col in zip(held["row"], held["col"], strict=True)]


def same_bytes(run: Path, work: Path) -> bool:
    """Whether maps of three block sizes are equal, all files."""
    maps = []
    for block in (32, 64, 256):
        out = work / f"block-{block}"
        yieldcast("crop-type", "map", run, "--input", work / "cube_3.nc", "--block", block, "--out", out)
        maps.append({path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()})
    return maps[0] == maps[1] == maps[2]


def growth(run: Path, work: Path, repeats: tuple[int, ...]) -> list[Results]:
    """Time and memory of larger and larger rasters."""
    found = []
    for times in repeats:
        seconds, memory = yieldcast(
            "crop-type", "map", run, "--input", work / f"cube_{times}.nc", "--block", 64, "--out",
            work / f"{run.stem}-grown-{times}",
        )  # fmt: skip
        found.append({"pixels": 27 * 37 * times**2, "seconds": seconds, "memory_mb": memory})
    return found


def belgium(folder: Path, work: Path, encoder: str) -> Results:
    """Cropland of the patch from labelled series of Europe, beside WorldCereal's map.

    The series start in December, the patch in November: its first month goes to the end.
    """
    frame = pd.read_parquet(folder / "samples/s2_s1_meteo_monthly.parquet")
    legend = pd.read_csv(folder / "samples/worldcereal_legend.csv").set_index("ewoc_code")["landcover10"]
    frame = frame[frame["country"].isin(["FRA", "BEL"])]
    cover = frame["ewoc_code"].map(legend)
    known = cover.notna() & (cover != "ignore")
    frame = frame[known].assign(cropland=np.where(cover[known] == "temporary_crops", "cropland", "other"))
    frame.to_parquet(work / "europe.parquet")
    with np.load(folder / "patch/belgium_2020_2021_patch.npz") as content:
        patch = dict(content)
    days = np.array(patch["t"]).astype("datetime64[M]")
    order = np.roll(np.arange(len(days)), -1)
    bands = {}
    for name in PATCH_BANDS:
        values = np.where(patch[name] == NOTHING, np.nan, patch[name].astype(np.float64))[order]
        if name in ("VV", "VH"):
            values = 20 * np.log10(values) - 83
        elif name == "temperature":
            values = values / 100
        elif name == "precipitation":
            values = values / 1e5
        bands[name] = values.astype(np.float32)
    static = {name: patch[name].astype(np.float32) for name in ("elevation", "slope")}
    wkt = CRS.from_epsg(int(patch["epsg"])).to_wkt()
    cube = create_cube(
        bands, (days + 1).astype("datetime64[D]"), patch["y"], patch["x"], wkt, "month", static
    )  # fmt: skip
    write_cube(work / "patch.nc", cube)
    truth = patch["cropland_map"][0] == 0  # order of its probability bands: 0 is cropland
    found: Results = {"pixels": int(truth.size), "share": float(truth.mean()), "settings": []}
    for location, balance in PATCH_SETTINGS:
        run, made = (work / f"europe-{location}-{balance}-{what}" for what in ("run", "map"))
        yieldcast("crop-type", "train", work / "europe.parquet", "--encoder", encoder, "--label", "cropland",
                  "--pool", "global", "--location", location, "--balance", balance, "--out", run)  # fmt: skip
        seconds, memory = yieldcast("crop-type", "map", run, "--input", work / "patch.nc", "--out", made)
        classes = json.loads((made / "map.json").read_text())["classes"]
        with rasterio.open(made / "class.tif") as raster:
            shown = raster.read(1) == classes.index("cropland") + 1
        found["settings"].append({
            "location": location, "balance": balance, "agreement": float((shown == truth).mean()),
            "share": float(shown.mean()), "seconds": seconds, "memory_mb": memory,
        })  # fmt: skip
    return found


def main() -> None:
    """Measure everything and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for cubes, runs and maps")
    parser.add_argument(
        "--only-patch", action="store_true", help="keep the other results as they are written"
    )
    parser.add_argument("--write", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    kept = given.write / "crop-map.json"
    patch = belgium(given.data, given.work, str(given.encoder))
    if given.only_patch:
        found = {**json.loads(kept.read_text()), "patch": patch}
    else:
        found = {"patch": patch, **seasons(given)}
    given.write.mkdir(parents=True, exist_ok=True)
    atomic_text(kept, json.dumps(found, indent=2) + "\n")
    write(given.write / "crop-map.md", page(found))


def seasons(given: argparse.Namespace) -> Results:
    """What is measured on the cube of Mato Grosso."""
    points = mato_grosso(given.data, given.work)
    folds = {
        "frozen encoder, linear head": by_folds(points, given.work, str(given.encoder), "linear"),
        "trees on the raw series": by_folds(points, given.work, "none", "boosted"),
    }
    raw, frozen = given.work / "raw-run", given.work / f"{given.encoder.stem}-linear-0-run"
    yieldcast("crop-type", "train", given.work / f"{given.encoder.stem}-linear-0.csv", "--encoder", "none",
              "--head", "boosted", "--label", "label", "--out", raw)  # fmt: skip
    return {
        "folds": folds, "growth": growth(raw, given.work, REPEATS),
        "growth_encoder": growth(frozen, given.work, REPEATS[:1]), "same_bytes": same_bytes(raw, given.work),
    }  # fmt: skip


def page(found: Results) -> list[str]:
    """Parts of the page."""
    rows = [
        [
            name,
            str(one["points"]),
            f"{one['accuracy']:.3f}",
            f"{one['macro_f1']:.3f}",
        ]
        for name, one in found["folds"].items()
    ]
    patch = found["patch"]
    patched = [
        [
            one["location"], one["balance"], f"{one['agreement']:.3f}", f"{one['share']:.3f}",
            f"{one['seconds']:.0f}", f"{one['memory_mb']:,.0f}",
        ]
        for one in patch["settings"]
    ]  # fmt: skip
    grown = [
        [model, f"{one['pixels']:,}", f"{one['seconds']:.0f}", f"{one['memory_mb']:,.0f}"]
        for model, key in (("frozen encoder", "growth_encoder"), ("trees on the raw series", "growth"))
        for one in found[key]
    ]
    same = "are equal, byte for byte" if found["same_bytes"] else "DIFFER"
    return [
        *heading("Crop-type maps"),
        "## A season at pixels that were not in the training",
        _FOLDS_TEXT,
        markdown_table(["run", "points", "accuracy", "macro-F1"], rows),
        "## Cropland of a Belgian patch",
        _PATCH_TEXT,
        markdown_table(
            ["--location", "--balance", "agreement", "cropland, share", "CPU seconds", "MB"], patched
        ),
        f"WorldCereal's map has cropland on {patch['share']:.3f} of {patch['pixels']:,} pixels. Bar of the "
        f"whole command: {PATCH_s:.0f} s. What decides is the weight of the classes, and the location; "
        "0.928 was measured before with PyTorch (whether with location and weights is not recorded).",
        "## Time and memory",
        _GROWTH_TEXT,
        markdown_table(["run", "pixels", "CPU seconds", "most memory, MB"], grown),
        "## Size of the blocks",
        f"Maps of 8,991 pixels with `--block 32`, 64 and 256 {same}: classes, probabilities, record.",
    ]


_FOLDS_TEXT = f"""MODIS cube of Mato Grosso, 27 x 37 pixels, 16-day steps; season from
{FIRST_DAY}. {FOLDS} folds by pixel: a run is trained on the points of the other pixels, in all
seasons, the season is mapped with `yieldcast crop-type map`, and the map is read at the left-out
points of the season (trees: without the map, at the points). Bar: accuracy {ACCURACY_BAR}."""
_PATCH_TEXT = """12 months of Sentinel-1 and 2 at 10 m, weather and terrain; frozen encoder, global
pooling, linear head, trained on labelled series of France and Belgium (temporary crops against all
other land cover). The series run from December to November and the patch from November to October,
so that its first month was put to its end. Agreement is with WorldCereal's own cropland map, which is
not the truth."""
_GROWTH_TEXT = f"""The cube repeated side by side, `--block 64`: memory must not grow with the number of
pixels. CPU seconds of the whole command; about 8 go to the start and, with an encoder, 10 more to its
program. Bar for the cube: {CUBE_s:.0f} s. Other jobs used the two cores at the same time, so that the clock
says little."""


if __name__ == "__main__":
    main()
