"""The two figures of the README: a map of one forecast, and skill by lead time of the backtests.

The map needs a store with real tables and boundaries, and trains a run on the harvest years that were public
on the date of the forecast (30 members: some minutes; called again with the same --work, it is reused):

    yieldcast import --store STORE --places municipalities.csv --yields pam_yields.csv.gz \\
        --weather weather_monthly.nc --soil soil.csv.gz --mesh municipalities.geojson
    python experiments/readme_figures.py --store STORE --work WORK

The skill is not computed anew: it is read from backtest-CROP.json in experiments/results (the rows of
``yieldcast backtest --json``) or, where that is missing, from the table of pooled RMSE in backtest-CROP.md.
Writes readme-map.png, readme-skill.png and readme-figures.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from results_file import made_with
from yieldcast import FORECAST_SETTINGS, Run, Store, forecast, plot, train_run
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.errors import SchemaError
from yieldcast.evaluation.skill import pool_by_lead
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.operations.job import read_skill
from yieldcast.reporting import labels
from yieldcast.reporting.figures import draw_skill, new_figure, put_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
SKILL_CROPS = ("soybean", "corn")
SCORE, TABLE = "rmse_kg_ha", "## RMSE (kg/ha), pooled over harvest years"
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


def pooled_skill(crop: str, folder: Path) -> tuple[list[dict[str, Any]], Path]:
    """RMSE by lead and model, pooled over harvest years, and the file that it was read from."""
    rows, document = folder / f"backtest-{crop}.json", folder / f"backtest-{crop}.md"
    if rows.is_file():
        return pool_by_lead(read_skill(rows, crop), crop), rows
    return document_skill(document), document


def document_skill(document: Path) -> list[dict[str, Any]]:
    """Rows of the table of pooled RMSE in the document of a backtest (experiments/backtest.py).

    Raises:
        SchemaError: the document has no such table.
    """
    _, found, rest = document.read_text(encoding="utf-8").partition(f"{TABLE}\n")
    lines = [line for line in rest.strip().split("\n\n")[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    if not found or len(cells) < 3:
        raise SchemaError(
            f"{document}: expected a table below {TABLE!r}", "Make it with experiments/backtest.py"
        )
    models = cells[0][1:]
    return [
        {"lead_months": int(lead), "model": model, SCORE: None if value == "-" else float(value)}
        for lead, *values in cells[2:]
        for model, value in zip(models, values, strict=True)
    ]


def skill_figure(skill: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """RMSE by lead time, a panel per crop."""
    figure = new_figure((8.0, 4.4))
    panels = figure.subplots(1, len(skill))
    for axes, (crop, rows) in zip(panels, skill.items(), strict=True):
        draw_skill(axes, rows, SCORE)
        axes.set_title(labels.crop(crop, "en").capitalize(), fontsize=10)
    plot.model_legend(figure, panels[0], "en", columns=3)
    put_title(figure, "Municipal yields of Brazil, harvest years 2014 to 2018: RMSE by lead time")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure with a palette instead of full colours: a third of the size."""
    from PIL import Image

    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    small = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    atomic_write(path, lambda temporary: small.save(temporary, format="png", optimize=True))


def document(given: argparse.Namespace, run: Run, table: xr.Dataset, sources: Sequence[Path]) -> str:
    """The results file: date, command, data, what the figures show."""
    low, median, high = (float(table["aggregate_yield_kg_ha"].values[0, k]) for k in (0, 3, 6))
    about, count = table.attrs, f"{table.sizes['municipality']:,}"
    chosen = f"--crop {given.crop} --harvest-year {given.harvest_year} --as-of {given.as_of}"
    links = ", ".join(f"[{path.name}]({path.name})" for path in sources)
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

RMSE by lead time of the backtests of the harvest years 2014 to 2018, pooled; every model sees what was
public on the date of the forecast. The axes do not start at zero. Read from {links};
nothing was computed anew.
"""


def main() -> None:
    """Both figures and their document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True, help="real tables with boundaries")
    add("--work", type=Path, required=True, help="folder of the run of the map")
    add("--crop", default="soybean")
    add("--harvest-year", type=int, default=2018)
    add("--as-of", type=dt.date.fromisoformat, default=dt.date(2018, 2, 15))
    add("--seeds", type=int, default=30, help="members of the run")
    add("--attribution", default=ATTRIBUTION, help="owners of the data, below the map")
    add("--note", type=Path, default=RESULTS / "brazil-hindcast-data.txt", help="limits of the data")
    add("--write", type=Path, default=RESULTS)
    given = parser.parse_args()
    with short_errors():
        load_tensorflow()
        store = Store.open(given.store)
        run = trained(given, store)
        table = forecast(run, store, given.harvest_year, given.as_of)
        shown = table.assign_attrs(attribution=given.attribution)
        skill = {crop: pooled_skill(crop, RESULTS) for crop in SKILL_CROPS}
        sources = [source for _, source in skill.values()]
        save(plot.map(shown, store.mesh), given.write / "readme-map.png")
        rows = {crop: pooled for crop, (pooled, _) in skill.items()}
        save(skill_figure(rows), given.write / "readme-skill.png")
        atomic_text(given.write / "readme-figures.md", document(given, run, table, sources))


if __name__ == "__main__":
    main()
