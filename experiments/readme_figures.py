"""The two figures of the README: a map of one forecast, and the accuracy by date.

The map needs a store with real tables and boundaries, and trains a run on the harvest years that were public
on the date of the forecast (30 members: some minutes; called again with the same --work, it is reused):

    yieldcast import --store STORE --places municipalities.csv --yields pam_yields.csv.gz \\
        --weather weather_monthly.nc --soil soil.csv.gz --mesh municipalities.geojson
    python experiments/readme_figures.py --store STORE --work WORK

The accuracy is not computed anew: it is read from accuracy.json in experiments/results, which
experiments/accuracy.py writes. With --figure only that figure is drawn, without a store. Writes
readme-map.png, readme-skill.png and readme-figures.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from results_file import made_with
from yieldcast import FORECAST_SETTINGS, Run, Store, forecast, plot, train_run
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.evaluation.accuracy_tables import Rows, by_date
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.reporting import labels
from yieldcast.reporting.figures import new_figure, put_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
CROPS = ("soybean", "corn")
SHOWN = ("forward", "municipality")
# Each with a line of its own shape, so that the figure is readable without colours.
MODELS: dict[str, dict[str, Any]] = {
    "forecast": {"color": "black", "marker": "o", "linewidth": 2.4, "markersize": 4, "zorder": 3},
    "level_trend": {"color": "#0072b2", "marker": "s", "linewidth": 1.2, "markersize": 4},
    "boosted_history_public": {"color": "#d55e00", "marker": "^", "linewidth": 1.2, "markersize": 4},
    "official": {"color": "#009e73", "marker": "D", "linewidth": 1.2, "markersize": 4},
    "mean_5y_public": {"color": "#cc79a7", "marker": "v", "linewidth": 1.2, "markersize": 4},
}
ATTRIBUTION = (
    "Yields and boundaries: IBGE (PAM, municipal boundaries). Weather: ERA5-Land, Copernicus/ECMWF, averaged "
    "over health regions. Soil: SoilGrids 2.0, ISRIC, CC BY 4.0."
)
COLOURS = 128  # of the palette that makes the files small; both figures use fewer, edges of letters included


def trained(given: argparse.Namespace, store: Store) -> Run:
    """The run of the map, trained or continued in the folder of the work."""
    years = trainable_years(store.tables, given.crop, given.as_of, FORECAST_SETTINGS.data)
    make_folder(given.work)
    out = given.work / f"run-{given.crop}-{max(years)}"
    seeds = range(1, given.seeds + 1)
    return train_run(store, given.crop, years, seeds, out, FORECAST_SETTINGS, notice=print)


def mean_rmse(rows: Rows, crop: str) -> tuple[tuple[str, ...], dict[str, list[float]]]:
    """Dates, and by model the RMSE of municipal yields on them, kg/ha: mean of the harvest years, forward."""
    mine = [row for row in rows if (row["crop"], row["protocol"], row["level"]) == (crop, *SHOWN)]
    table = by_date(mine, "rmse", crop)
    found = {model: [float(cell) for cell in cells] for model, *cells in table.lines if model in MODELS}
    return table.heads[1:], found


def accuracy_figure(rows: Rows) -> Figure:
    """RMSE by date of the forecast, a panel per crop."""
    figure = new_figure((8.0, 4.4))
    panels = figure.subplots(1, len(CROPS))
    for axes, crop in zip(panels, CROPS, strict=True):
        dates, models = mean_rmse(rows, crop)
        for model, style in MODELS.items():
            axes.plot(dates, models[model], label=model, **style)
        axes.set(xlabel="date of the forecast", ylabel="RMSE, kg/ha")
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(labels.crop(crop, "en").capitalize(), fontsize=10)
    plot.model_legend(figure, panels[0], "en", columns=3)
    put_title(figure, "Municipal yields of Brazil, harvest years 2014 to 2018: RMSE by date")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure with a palette instead of full colours: a third of the size."""
    from PIL import Image

    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    small = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    atomic_write(path, lambda temporary: small.save(temporary, format="png", optimize=True))


def document(given: argparse.Namespace, run: Run, table: xr.Dataset) -> str:
    """The results file: date, command, data, what the figures show."""
    low, median, high = (float(table["aggregate_yield_kg_ha"].values[0, k]) for k in (0, 3, 6))
    about, count = table.attrs, f"{table.sizes['municipality']:,}"
    chosen = f"--crop {given.crop} --harvest-year {given.harvest_year} --as-of {given.as_of}"
    return f"""# Figures of the README

Date: {dt.date.today()}. Command:

```
python experiments/readme_figures.py --store STORE --work WORK {chosen} --seeds {given.seeds}
```

{made_with(run.made_with)}.

{given.note.read_text(encoding="utf-8").strip()}

![map](readme-map.png)

{about["title"]}, {about["lead_months"]} months before the end of harvest.
Median of {count} municipalities, by {about["members"]} members trained on the harvest years
{about["train_years"]}; weather known to {about["weather_known_to"]}.
All municipalities together, by planted area: {median:.0f} kg/ha, 90 % interval {low:.0f} to {high:.0f} kg/ha.

![skill](readme-skill.png)

RMSE of municipal yields by date, mean of the harvest years 2014 to 2018; every model sees what was public on
the date of the forecast. The axes do not start at zero. Read from accuracy.json, the rows of
[accuracy.md](accuracy.md); nothing was computed anew.
"""


def main() -> None:
    """Both figures and their document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--figure", action="store_true", help="only the figure of accuracy")
    add("--store", type=Path, help="real tables with boundaries")
    add("--work", type=Path, help="folder of the run of the map")
    add("--crop", default="soybean")
    add("--harvest-year", type=int, default=2018)
    add("--as-of", type=dt.date.fromisoformat, default=dt.date(2018, 2, 15))
    add("--seeds", type=int, default=30, help="members of the run")
    add("--attribution", default=ATTRIBUTION, help="owners of the data, below the map")
    add("--note", type=Path, default=RESULTS / "brazil-hindcast-data.txt", help="limits of the data")
    add("--write", type=Path, default=RESULTS)
    given = parser.parse_args()
    if not given.figure and not (given.store and given.work):
        parser.error("give --store and --work for the map, or --figure")
    with short_errors():
        rows = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))
        save(accuracy_figure(rows), given.write / "readme-skill.png")
        if given.figure:
            return
        load_tensorflow()
        store = Store.open(given.store)
        run = trained(given, store)
        table = forecast(run, store, given.harvest_year, given.as_of)
        shown = table.assign_attrs(attribution=given.attribution)
        save(plot.map(shown, store.mesh), given.write / "readme-map.png")
        atomic_text(given.write / "readme-figures.md", document(given, run, table))


if __name__ == "__main__":
    main()
