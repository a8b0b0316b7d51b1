"""Bring your own encoder: a function of yours returns a trained Keras model that embeds pixel series.

``--encoder package.module:function`` names the function. It takes no arguments and returns a functional
`keras.Model` with its weights, or the model and a dictionary of notes (``licence``, ``source``)::

    {"x": (None, steps, 17), ...} -> {"global": (None, width), "time": (None, steps, width)}

The inputs are some of those of `embedding.PixelInputs`, always with ``x``; the outputs one embedding of a
series, one of each step, or both. ``steps`` may be None: any number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yieldcast.encoders.bands import BAND_NAMES, MONTHS, NO_LAND_COVER
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.user_code import current_folder_first, import_function

Tensor = Any  # of the Keras backend
POOLS = ("global", "time")
_TRIED_STEPS = 12  # of the trial, where the model takes any number
_TOLERANCE = 1e-4  # between the embedding of a series alone and beside others
_EXAMPLE = (
    'Return keras.Model({"x": x}, {"global": one, "time": each}) with x = keras.Input((None, '
    f'{len(BAND_NAMES)}), name="x"), one of shape (None, width) and each of shape (None, steps, width).'
)


class CustomEncoder:
    """The model of a user's function, called as `presto.PrestoEncoder` is.

    Args:
        spec: "package.module:function".

    Raises:
        ConfigError: the function fails, or what it returns does not fit; says what was expected.
    """

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.model, self.notes = self._made()
        self.steps, self.widths = self._checked_shapes()
        self._try()

    def check(self, steps: int, pool: str) -> None:
        """Refuse series and embeddings that the model does not take or make.

        Raises:
            ConfigError: no embeddings of this kind.
            SchemaError: another number of steps than the model's.
        """
        if pool not in self.widths:
            raise self._error(
                f"expected an output {pool!r}, received {', '.join(self.widths)}",
                f"Take --pool {next(iter(self.widths))}, or add the output.",
            )
        if self.steps not in (None, steps):
            raise SchemaError(
                f"expected series of {self.steps} steps, which {self.spec} takes, received {steps}",
                "Make other steps, or give the model an input of (None, bands).",
            )

    def __call__(
        self, inputs: Mapping[str, Tensor], groups: Sequence[int] = (), pool: str = "global"
    ) -> Tensor:
        """Embeddings; see `presto.PrestoEncoder.call`. All groups of bands are given to the model."""
        return self.model({name: inputs[name] for name in self.model.input}, training=False)[pool]

    def get_weights(self) -> list[NDArray[Any]]:
        """All weights of the model."""
        found: list[NDArray[Any]] = self.model.get_weights()
        return found

    def _made(self) -> tuple[keras.Model, dict[str, str]]:
        function = import_function(self.spec, "encoder")
        try:
            with current_folder_first():  # for what it imports itself
                made = function()
        except Exception as error:
            raise self._error(
                f"the function failed: {type(error).__name__}: {error}",
                "It takes no arguments; yieldcast --debug shows the place.",
            ) from error
        model, notes = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
        if not isinstance(model, keras.Model):
            raise self._error(f"expected a keras.Model, received {type(model).__name__}", _EXAMPLE)
        if not isinstance(notes, Mapping) or not all(isinstance(v, str) for v in notes.values()):
            raise self._error(
                f"expected the notes as a dictionary of texts, received {notes!r}",
                'For example return model, {"licence": "MIT", "source": "our fields"}.',
            )
        return model, {"licence": "unknown", "source": self.spec, **notes}

    def _checked_shapes(self) -> tuple[int | None, dict[str, int]]:
        """Steps of the model, None for any number, and the width of each output."""
        received = _shapes(self.model, "input")
        steps = received["x"][1] if isinstance(received, dict) and len(received.get("x", ())) == 3 else None
        known = {
            "x": (None, steps, len(BAND_NAMES)), "mask": (None, steps, len(BAND_NAMES)),
            "dynamic_world": (None, steps), "latlons": (None, 2), "month": (None, steps),
        }  # fmt: skip
        wanted = {name: known[name] for name in received if name in known} if received else {}
        if "x" not in wanted or received != wanted:
            raise self._error(f"expected inputs among {known}, always with x, received {received}", _EXAMPLE)
        outputs = _shapes(self.model, "output")
        widths = {name: shape[-1] for name, shape in outputs.items()} if isinstance(outputs, dict) else {}
        fit = {"global": (None, widths.get("global")), "time": (None, steps, widths.get("time"))}
        if not widths or any(shape != fit.get(name) or shape[-1] is None for name, shape in outputs.items()):
            raise self._error(
                f"expected the outputs global (None, width), time (None, {steps}, width) or both, received "
                f"{outputs}",
                _EXAMPLE,
            )
        return steps, {name: widths[name] for name in POOLS if name in widths}

    def _try(self) -> None:
        """Embed made-up series: finite numbers, which other series of the batch do not move."""
        rng, steps = np.random.default_rng(0), self.steps or _TRIED_STEPS
        shape = (3, steps, len(BAND_NAMES))
        mask = (rng.random(shape) < 0.2).astype(np.float32)
        series = {
            "x": np.where(mask, 0, rng.random(shape)).astype(np.float32), "mask": mask,
            "dynamic_world": np.full(shape[:2], NO_LAND_COVER, np.int32),
            "latlons": np.zeros((3, 2), np.float32),
            "month": np.tile(np.arange(steps, dtype=np.int32) % MONTHS, (3, 1)),
        }  # fmt: skip
        for pool, width in self.widths.items():
            try:
                together, alone = (
                    ops.convert_to_numpy(self({name: array[:n] for name, array in series.items()}, pool=pool))
                    for n in (3, 1)
                )
            except Exception as error:
                raise self._error(
                    f"it cannot embed three series of {steps} steps: {type(error).__name__}: {error}",
                    "Correct it; yieldcast --debug shows the place.",
                ) from error
            wanted = (3, width) if pool == "global" else (3, steps, width)
            if together.shape != wanted or not np.isfinite(together).all():
                raise self._error(
                    f"expected finite embeddings {pool} of shape {wanted}, received shape {together.shape}, "
                    f"{int((~np.isfinite(together)).sum())} of them not finite",
                    "Missing values of x are 0, with mask 1: look for a division, logarithm or root.",
                )
            if not np.allclose(together[:1], alone, atol=_TOLERANCE, rtol=_TOLERANCE):
                raise self._error(
                    f"the embedding {pool} of a series differs alone and beside others",
                    "No layer may mix the series of a batch, or draw random numbers, when training=False.",
                )

    def _error(self, message: str, hint: str) -> ConfigError:
        return ConfigError(f"encoder = {self.spec!r}: {message}", hint)


def _shapes(model: keras.Model, side: str) -> Any:
    """Shapes of a model's inputs or outputs by name; a text where they are not a dictionary."""
    try:
        tensors = getattr(model, side)
    except (AttributeError, ValueError):
        return f"a {type(model).__name__} without keras.Input"
    if not isinstance(tensors, dict):
        return str(keras.tree.map_structure(lambda tensor: tuple(tensor.shape), tensors))
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
