"""The model card: a summary of a run for readers who have only its folder."""

from __future__ import annotations

import numpy as np

from yieldcast.data.summary import number_spans
from yieldcast.features import yield_history
from yieldcast.features.samples import SampleSet
from yieldcast.training.run_directory import Run

_NOT_IN_THE_PAPER = """\
The paper does not state the loss, the validation rows, whether the best weights are restored and how the
target is scaled, and shows its layer sizes only in an image. The settings used are in `resolved.json`."""
_OWN_NETWORK = """\
The network was built by the function above; `model.py` is the source of its module. yieldcast scaled inputs
and target and trained it. All settings are in `resolved.json`. If the network has custom layers, the code
below needs that module: import it first."""


def model_card(run: Run, rows: SampleSet) -> str:
    """The card as Markdown.

    Args:
        run: a run with at least one finished member.
        rows: its training rows.
    """
    identity, records = run.identity, run.records()
    epochs = [record["epochs"] for record in records]
    seconds = [record["seconds"] / record.get("lanes", 1) for record in records]
    together = max(record.get("lanes", 1) * record["replicas"] * record.get("block", 1) for record in records)
    network, method, remarks = _network(run)
    years = f"{min(identity.train_years)}-{max(identity.train_years)}"
    places = len(np.unique(rows.municipality))
    title = f"{'Synthetic data: ' if identity.synthetic else ''}{identity.crop}, trained on {years}"
    soil = int(np.isnan(rows.static).any(axis=1).sum())
    inputs = ", ".join(f"`{name}`" for name in identity.dynamic_names)
    return f"""# yieldcast run: {title}

| | |
|---|---|
| Purpose | yield of {identity.crop} per municipality and harvest year, kg/ha |
| Members | {len(records)} seeds ({_span(run.seeds())}), plain Keras files in `members/` |
{_origin(run)}| Training rows | {identity.rows} of {places} municipalities, harvest years {years} |
| Rows with missing soil | {soil} (replaced by the training mean) |
| Dynamic input | {identity.steps} months x {inputs} |
| Static input | {len(identity.static_names)} features: {_static(identity.static_names)} |
| Network | {network} |
| Epochs per member | median {np.median(epochs):g}, {min(epochs)} to {max(epochs)} |
| Seconds per member | mean {np.mean(seconds):.1f}, up to {together} trained in parallel |
| Method | {method} |
| Made with | {", ".join(f"{name} {version}" for name, version in run.made_with.items())} |

{remarks}

**Limits.** {_seasons(run)} `yieldcast evaluate` scores it beside simple baselines; without these scores no
accuracy should be assumed. Not for places, crops or years unlike those above.

Load a member without yieldcast:

```python
import keras
model = keras.models.load_model("members/{run.member_path(run.seeds()[0]).name}")
# {{"weather": (rows, {identity.steps}, {len(identity.dynamic_names)}), \
"static": (rows, {len(identity.static_names)})}} -> (rows, 1) kg/ha
```

Data fingerprints: {", ".join(f"{name} `{text[:12]}`" for name, text in identity.data.items())}
"""


def _origin(run: Run) -> str:
    """The line that says which run it was started from; empty for a run from random weights."""
    origin = run.identity.origin
    if origin is None:
        return ""
    frozen = ", ".join(origin.frozen) or "nothing"
    return (
        f"| Started from | run `{origin.run_id}`: {origin.crop}, harvest years "
        f"{number_spans(origin.train_years)}; frozen: {frozen}; no forecast before {origin.public_from} |\n"
    )


def _network(run: Run) -> tuple[str, str, str]:
    """Cells for network and method, and remarks on both."""
    network, build = run.settings.network, run.settings.model.build
    scaled = f"inputs scaled by {network.scaling}, target: {network.target}"
    if build:
        return f"`{build}`, {scaled}", "Keras model of the user, trained by yieldcast", _OWN_NETWORK
    cell = (
        f"LSTM {network.lstm_units}, static {network.static_units}, head {network.head_units}, "
        f"noise {network.noise}, L2 {network.l2}, {scaled}"
    )
    method = "dual-path network of Cunha & Silva 2020 (doi:10.1109/LAGIRS48042.2020.9165608)"
    return cell, method, _NOT_IN_THE_PAPER


def _static(names: tuple[str, ...]) -> str:
    history = ", public yields of past years" if set(names) & set(yield_history.NAMES) else ""
    return f"soil, latitude, longitude{history}"


def _seasons(run: Run) -> str:
    share = run.settings.training.season_cuts
    if not share:
        return "Trained on whole seasons of observed weather, as in the paper."
    return (
        f"Trained on seasons of which {share:.0%} were cut at a random month and filled with another year's "
        "weather, because a forecast knows only the first months of a season."
    )


def _span(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if seeds else "none"
