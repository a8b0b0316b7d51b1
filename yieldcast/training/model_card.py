"""The model card: what a run is, for somebody who finds only its folder."""

from __future__ import annotations

import numpy as np

from yieldcast.features.samples import SampleSet
from yieldcast.training.run_directory import Run

_LEFT_OPEN = """\
The paper leaves open the loss, the validation rows, whether the best weights are restored and how the
target is scaled; and its layer sizes stand in an image only. What was used is in `resolved.json`."""


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
    network = run.settings.network
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
| Training rows | {identity.rows} of {places} municipalities, harvest years {years} |
| Rows with missing soil | {soil} (the training mean stands in) |
| Dynamic input | {identity.steps} months x {inputs} |
| Static input | {len(identity.static_names)} features: soil, latitude, longitude |
| Network | LSTM {network.lstm_units}, static {network.static_units}, head {network.head_units}, \
noise {network.noise}, L2 {network.l2} |
| Epochs per member | median {np.median(epochs):g}, {min(epochs)} to {max(epochs)} |
| Seconds per member | mean {np.mean(seconds):.1f}, up to {together} trained side by side |
| Method | dual-path network of Cunha & Silva 2020 (doi:10.1109/LAGIRS48042.2020.9165608) |
| Made with | {", ".join(f"{name} {version}" for name, version in run.made_with.items())} |

{_LEFT_OPEN}

**Limits.** {_seasons(run)} Scores against simple
reference lines come from `yieldcast evaluate`; without them no accuracy should be assumed. Not for
places, crops or years unlike those above.

Load a member without yieldcast:

```python
import keras
model = keras.models.load_model("members/{run.member_path(run.seeds()[0]).name}")
# {{"weather": (rows, {identity.steps}, {len(identity.dynamic_names)}), \
"static": (rows, {len(identity.static_names)})}} -> (rows, 1) kg/ha
```

Data fingerprints: {", ".join(f"{name} `{text[:12]}`" for name, text in identity.data.items())}
"""


def _seasons(run: Run) -> str:
    share = run.settings.training.season_cuts
    if not share:
        return "Trained on whole seasons of observed weather, as the paper does."
    return (
        f"Trained on seasons of which {share:.0%} were cut at a random month and filled with another year's "
        "weather, as a forecast meets them."
    )


def _span(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if seeds else "none"
