"""Fingerprints of what the package computes, to show that a change of structure changes no number.

Run it before and after such a change, on one machine with the same installed versions, and compare the
outputs with `diff`. Each line is a SHA-256 and what was hashed: imported tables, sample sets (arrays and row
order), member weights after short trainings of every preset, evaluations, forecasts, and the files of two
bulletins; on a synthetic country and, with ``--data``, on the real tables of that folder.

    python experiments/studies/fingerprints.py --data FOLDER > fingerprints.txt

Not hashed, because they may differ between two correct runs: package versions, times of writing, and the
sentences in changes.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

import calendars
from yieldcast import (
    FORECAST_SETTINGS,
    Run,
    Settings,
    Store,
    build_samples,
    evaluate_run,
    forecast,
    read_tables,
    train_run,
)
from yieldcast.data import synthetic
from yieldcast.data.files import fingerprint
from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.importing.geometry import read_mesh
from yieldcast.operations.bulletins import write_bulletin

Line = tuple[str, str]
PRESETS = {"paper": Settings(), "forecast": FORECAST_SETTINGS}
TRAIN_YEARS, HARVEST_YEAR = range(2011, 2015), 2016
DATES = (dt.date(2015, 11, 15), dt.date(2016, 2, 15))  # the yields of 2014 are public from October 2015 on
EPOCHS, MEMBERS = 3, 4  # a member for each year left out


def main() -> None:
    """Print a line for everything that is hashed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the real tables")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stores = {"synthetic": synthetic_store(work / "synthetic")}
        if args.data is not None:
            stores["real"] = real_store(work / "real", args.data)
        for name, store in stores.items():
            for mark, what in everything(store, work / name):
                print(f"{mark}  {name}: {what}", flush=True)


def synthetic_store(folder: Path) -> Store:
    """A synthetic country with boundaries, yields from 2005 on."""
    tables = synthetic.country(seed=5, municipalities=40, first_harvest_year=2005, harvest_years=12)
    static = tables.static
    columns = ("municipality", "name", "state", "latitude_deg", "longitude_deg")
    mesh = synthetic_mesh(*(static[name].values.tolist() for name in columns))
    return Store.write(folder / "store", tables, {}, json.dumps(mesh))


def real_store(folder: Path, data: Path) -> Store:
    """The real tables, imported from their files."""
    names = ("municipalities.csv", "pam_yields.csv.gz", "weather_monthly.nc", "soil.csv.gz")
    tables, log = read_tables(*(data / name for name in names))
    mesh = read_mesh(data / "municipalities.geojson", tables.static, log)
    return Store.write(folder / "store", tables, log.sources, mesh)


def everything(store: Store, work: Path) -> Iterator[Line]:
    """Hashes of one store, from its tables to its bulletins."""
    for name, table in store.tables._asdict().items():
        yield fingerprint(table), f"table {name}"
    if store.mesh is not None:
        yield sha(store.mesh.read_bytes()), "boundaries"
    for preset, settings in PRESETS.items():
        yield from sample_sets(store, preset, settings)
    for preset, settings in PRESETS.items():
        run = short_run(store, settings, work / preset)
        for seed in run.seeds():
            yield weights(run, seed), f"{preset}: weights of member {seed}"
        result = evaluate_run(run, store, [2015])
        yield sha(json.dumps(result.scores.to_json(), indent=2).encode()), f"{preset}: evaluation"
        yield sha(result.members.tobytes()), f"{preset}: predictions of all members"
    yield from bulletins(store, Run.open(work / "forecast" / "run"), work / "bulletins")


def sample_sets(store: Store, preset: str, settings: Settings) -> Iterator[Line]:
    """Hashes of training and dated sample sets of the crops in the store."""
    crops = [crop for crop in ("soybean", "corn") if crop in store.yields["crop"].values]
    for crop in crops:
        for as_of in (None, DATES[0]):
            years = TRAIN_YEARS if as_of is None else [HARVEST_YEAR]
            rows, _ = build_samples(store.tables, calendars.brazil(), crop, years, settings.data, as_of=as_of)
            about = f"{crop} {years[0]}-{years[-1]}" + (f" as of {as_of}" if as_of else "")
            yield (
                rows.fingerprint(),
                f"{preset}: samples {about}, {len(rows)} rows",
            )


def short_run(store: Store, settings: Settings, work: Path) -> Run:
    """A run of a few members, trained for a few epochs."""
    short = settings.training.model_copy(update={"max_epochs": EPOCHS})
    settings = settings.model_copy(update={"training": short})
    seeds = range(1, MEMBERS + 1)
    return train_run(store, "soybean", TRAIN_YEARS, seeds, work / "run", settings, strategy="default")


def weights(run: Run, seed: int) -> str:
    """Hash of all weights of a member in their order."""
    digest = hashlib.sha256()
    for array in run.load_member(seed).get_weights():
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def bulletins(store: Store, run: Run, folder: Path) -> Iterator[Line]:
    """Hashes of two forecasts of one season and of the files of their bulletins."""
    for date in DATES:
        table = forecast(run, store, harvest_year=HARVEST_YEAR, as_of=date)
        yield fingerprint(table), f"forecast as of {date}: values"
        yield attributes(table), f"forecast as of {date}: attributes"
        path = write_bulletin(folder, table, mesh=store.mesh, notice=lambda text: None).path
        for name in ("forecast.csv", "forecast-aggregates.csv"):
            yield sha((path / name).read_bytes()), f"bulletin {date}: {name}"
        for name in ("forecast.geojson", "changes.json"):
            content = json.loads((path / name).read_text(encoding="utf-8"))
            content.pop("text", None)
            content.pop("made_with", None)
            yield sha(json.dumps(content, sort_keys=True).encode()), f"bulletin {date}: {name}"
        with xr.open_dataset(path / "forecast.nc", engine="h5netcdf") as ds:
            yield fingerprint(ds.load()), f"bulletin {date}: forecast.nc"


def attributes(table: xr.Dataset) -> str:
    """Hash of the attributes of a forecast, versions left out."""
    kept = {name: str(value) for name, value in table.attrs.items() if name != "made_with"}
    return sha(json.dumps(kept, sort_keys=True).encode())


def sha(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
