"""Published weights of ResNet-50 (safetensors; names of torchvision and timm) into our encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.encoders.published import read_safetensors
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.tiles.bands import BANDS
from yieldcast.tiles.resnet import resnet_encoder

Arrays = Mapping[str, NDArray[Any]]
FIRST = "conv1.weight"
# Not part of the encoder: the classifier on top, and how many batches the normalisation has seen.
_CLASSIFIER, _COUNTER = "fc.", ".num_batches_tracked"
_UNKNOWN = "unknown"
_HINT = "Give the state dict of a ResNet-50 for 13 bands, saved as safetensors."
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def load_encoder(path: Path, prefix: str | None = None) -> tuple[Any, dict[str, str]]:
    """An encoder with published weights.

    Args:
        path: safetensors.
        prefix: before all names of the encoder, e.g. ``module.encoder_q.``; None finds it.

    Returns:
        the encoder, and its origin: file, SHA-256, licence, source, prefix, names that were not used.

    Raises:
        MissingDataError, ConfigError, SchemaError: as `read_safetensors`, `names_below` and `assign`.
    """
    arrays, notes = read_safetensors(path)
    found, chosen, unused = names_below(arrays, prefix, str(path))
    encoder = resnet_encoder()
    assign(encoder, found, str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    origin = {"file": path.name, "file_sha256": digest, "prefix": chosen, "not_used": ", ".join(unused)}
    return encoder, {"licence": _UNKNOWN, "source": _UNKNOWN, **notes, **origin}


def names_below(arrays: Arrays, prefix: str | None, where: str) -> tuple[dict[str, Any], str, list[str]]:
    """The encoder's arrays by their names without the prefix.

    Args:
        arrays: of the file.
        prefix: None if the file has one encoder only, whose prefix is then found.
        where: the file, for errors.

    Returns:
        arrays, prefix, and the names of arrays that no encoder needs: a classifier (fc), counters of batches,
        and with a given prefix everything outside of it.

    Raises:
        ConfigError: several encoders and no prefix.
        SchemaError: no encoder, or none with this prefix.
    """
    starts = [name.removesuffix(FIRST) for name in arrays if _is_first(name)]
    if prefix is not None:
        prefix = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
        starts = [one for one in starts if one == prefix]
    if not starts:
        raise SchemaError(
            f"{where}: expected {prefix or ''}{FIRST} and the other weights of a ResNet-50, received "
            f"{', '.join(sorted(arrays)[:5]) or 'none'}",
            _HINT,
        )
    if len(starts) > 1:
        raise ConfigError(
            f"{where}: expected one encoder, received {len(starts)}: {', '.join(sorted(starts))}",
            "Choose one with --prefix.",
        )
    mine = {n.removeprefix(starts[0]): v for n, v in arrays.items() if n.startswith(starts[0])}
    outside = [n for n in arrays if not n.startswith(starts[0])]
    if outside and prefix is None:
        raise SchemaError(
            f"{where}: expected names that start with {starts[0]}, received others: "
            f"{', '.join(sorted(outside)[:5])}",
            "If they belong to another part (a decoder, a queue), say which is the encoder with --prefix.",
        )
    extra = [n for n in mine if n.startswith(_CLASSIFIER) or n.endswith(_COUNTER)]
    kept = {n: v for n, v in mine.items() if n not in set(extra)}
    classifier = (starts[0] + n for n in extra if n.startswith(_CLASSIFIER))
    return kept, starts[0], sorted({*outside, *classifier})


def _is_first(name: str) -> bool:
    """Whether this is the first convolution of an encoder, not of one of its bottlenecks."""
    return name.endswith(FIRST) and ("." + name).endswith("." + FIRST) and "layer" not in name


def published_names(encoder: Any) -> dict[str, Any]:
    """Published name -> variable, of all variables of an encoder."""
    names: dict[str, Any] = {}
    for layer in encoder.layers:
        stem = layer.name.replace("_", ".")
        if hasattr(layer, "kernel"):
            names[f"{stem}.weight"] = layer.kernel
        elif hasattr(layer, "moving_mean"):
            names |= {f"{stem}.{torch}": getattr(layer, ours) for torch, ours in _BATCH_NORM.items()}
    return names


def assign(encoder: Any, arrays: Arrays, where: str) -> None:
    """Give an encoder its weights; nothing is changed if anything is wrong.

    Args:
        encoder: of `resnet.resnet_encoder`.
        arrays: by published names without prefix; convolutions are (out, in, y, x).
        where: the file, for errors.

    Raises:
        SchemaError: a weight is missing, unknown or of another shape, or a variance is negative.
    """
    names = published_names(encoder)
    missing, unknown = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    if missing or unknown:
        raise SchemaError(
            f"{where}: expected the {len(names)} weights of ResNet-50; "
            f"missing: {_listed(missing)}; unknown: {_listed(unknown)}",
            _HINT,
        )
    made = {}
    for name, variable in names.items():
        values = np.asarray(arrays[name], np.float32)
        if values.ndim == 4:
            values = values.transpose(2, 3, 1, 0)  # (out, in, y, x) to (y, x, in, out)
        if values.shape != tuple(variable.shape):
            raise SchemaError(_shapes(name, arrays[name].shape, tuple(variable.shape), where), _HINT)
        if name.endswith("running_var") and (values < 0).any():
            raise SchemaError(f"{where}: expected variances of 0 or more, received others in {name}", _HINT)
        made[name] = values
    for name, variable in names.items():
        variable.assign(made[name])


def _shapes(name: str, got: tuple[int, ...], ours: tuple[int, ...], where: str) -> str:
    wanted = (ours[3], ours[2], *ours[:2]) if len(ours) == 4 else ours
    text = f"{where}: expected {name} of shape {wanted}, received {tuple(got)}"
    bands = len(BANDS)
    if name == FIRST and len(got) == 4 and got[1] != bands:
        text += f": weights for {got[1]} bands, not for the {bands} bands of Sentinel-2"
    return text


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) or "none") + more
