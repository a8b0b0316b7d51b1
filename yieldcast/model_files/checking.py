"""The check of a model file: everything about it is read as data, and nothing of it is run or built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.errors import YieldcastError
from yieldcast.model_files.archive import CONFIG, HDF5_WEIGHTS, METADATA, read_archive
from yieldcast.model_files.faults import refuse_faults
from yieldcast.model_files.hdf5 import Weights, read_hdf5
from yieldcast.model_files.json_data import read_json
from yieldcast.model_files.limits import Limits
from yieldcast.model_files.networks import Grammar
from yieldcast.model_files.npz import read_npz
from yieldcast.model_files.own_models import OwnModel, own_config
from yieldcast.model_files.refusal import RefusedModel, quoted

Shape = tuple[int | None, ...]
STATE = "seed_generator"  # layers that draw random numbers keep the state of their generator as a weight
OPTIMIZER = "optimizer"


@dataclass(frozen=True)
class CheckedModel:
    """A model file that was accepted.

    Args:
        config: a fresh one, of what was understood.
        inputs: shape of every input by name, the sample axis first; None for any length.
        outputs: names of the outputs.
        layers: name and class of every layer, those inside networks and wrappers too.
        parameters: number of weights, without states of random numbers and of the optimiser.
        sha256: of the file.
        keras_version: that wrote it.
        weights: by path of their layer and by number, see `hdf5.read_hdf5`.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    layers: tuple[tuple[str, str], ...]
    parameters: int
    sha256: str
    keras_version: str
    weights: Weights = field(repr=False)


def check(path: Path | str, limits: Limits | None = None, own: Sequence[OwnModel] = ()) -> CheckedModel:
    """Read a model file and refuse what is not on the closed lists.

    Keras is not imported, and no file but this one is opened.

    Args:
        path: of a .keras file.
        limits: see `Limits`; None for its defaults.
        own: yieldcast's own models that the file may hold instead of a Functional or Sequential network.

    Raises:
        MissingDataError: no such file.
        RefusedModel: it is refused; `rule` says by which rule.
    """
    try:
        return _checked(Path(path), limits or Limits(), own)
    except YieldcastError:
        raise
    except Exception as error:  # a fault of the check itself must not let a file pass, nor stop a server
        raise RefusedModel(
            f"the file cannot be understood: {type(error).__name__}", "Please report the file.", "unexpected"
        ) from error


def _checked(path: Path, limits: Limits, own: Sequence[OwnModel]) -> CheckedModel:
    archive = read_archive(path, limits)
    version = _keras_version(read_json(archive.metadata, METADATA, limits))
    config = read_json(archive.config, CONFIG, limits)
    kept = {(one.module, one.registered_name.rpartition(">")[2]): one for one in own}
    expected = (str(config.get("module")), str(config.get("class_name"))) in kept
    refuse_faults(config, kept if expected else ())
    grammar = Grammar(limits)
    fresh = own_config(config, own) if expected else grammar.network(config)
    if archive.weights_name == HDF5_WEIGHTS:
        weights = read_hdf5(archive.weights)
    else:
        weights = read_npz(archive.weights, limits.file_bytes)
    parameters = _check_weights(weights, grammar.found.least, limits)
    return CheckedModel(
        fresh, {} if expected else _inputs(fresh), () if expected else _outputs(fresh),
        tuple(grammar.found.layers), parameters, archive.sha256, version, weights,
    )  # fmt: skip


def _keras_version(metadata: Mapping[str, Any]) -> str:
    found = metadata.get("keras_version")
    if not isinstance(found, str) or not re.fullmatch(r"3\.\d{1,4}\.\d{1,4}[\w.+]{0,30}", found):
        raise RefusedModel(
            f"expected a file of Keras 3, received one of version {quoted(found)}",
            "Load it with the version that wrote it, rebuild it in Keras 3 and save it again.",
            "keras-version",
        )  # fmt: skip
    return found


def _check_weights(weights: Weights, least: int, limits: Limits) -> int:
    """Number of weights; refuse values that are not finite, and fewer of them than the config claims."""
    count = 0
    for path, arrays in weights.items():
        part = path.split("/")
        counted = part[0] != OPTIMIZER and not any(one.startswith(STATE) for one in part)
        for number, array in arrays.items():
            count += array.size * counted
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise RefusedModel(
                    f"expected finite weights, received NaN or infinite ones: {quoted(path)}, array {number}",
                    "Train the network again with a smaller learning rate, and look at its loss.",
                    "not-finite",
                )  # fmt: skip
    if count > limits.parameters:
        raise RefusedModel(
            f"expected at most {limits.parameters:,} weights, received {count:,}", "Make it smaller.", "size"
        )
    if count < least:
        raise RefusedModel(
            f"the layers of the config have at least {least:,} weights; the file holds {count:,}",
            "Save the model again, with its weights.", "size",
        )  # fmt: skip
    return count


def _inputs(fresh: Mapping[str, Any]) -> dict[str, Shape]:
    """Shapes of the inputs by the name under which they are given."""
    config = fresh["config"]
    layers = config["layers"]
    if fresh["class_name"] == "Sequential":
        return {layers[0]["config"]["name"]: tuple(layers[0]["config"]["batch_shape"])}
    shapes = {
        one["name"]: tuple(one["config"]["batch_shape"])
        for one in layers
        if one["class_name"] == "InputLayer"
    }
    named = _by_name(config["input_layers"])
    strange = set(named.values()) - set(shapes)
    if strange or len(set(named.values())) != len(named):
        raise RefusedModel(
            f"expected Input layers as the inputs of the network, received {quoted(sorted(named.values()))}",
            "Build it with keras.Model(inputs, outputs).", "graph",
        )  # fmt: skip
    return {key: shapes[layer] for key, layer in named.items()}


def _outputs(fresh: Mapping[str, Any]) -> tuple[str, ...]:
    config = fresh["config"]
    if fresh["class_name"] == "Sequential":
        return (config["layers"][-1]["config"]["name"],)
    return tuple(_by_name(config["output_layers"]))


def _by_name(ends: Any) -> dict[str, str]:
    """Layer of each input or output of a network, by its name: its key, else that of its layer."""
    if isinstance(ends, dict):
        return {key: history[0] for key, history in ends.items()}
    listed = ends if isinstance(ends[0], list) else [ends]
    made: dict[str, str] = {}
    for history in listed:
        key = history[0] if history[0] not in made else f"{history[0]}_{len(made)}"
        made[key] = history[0]
    return made
