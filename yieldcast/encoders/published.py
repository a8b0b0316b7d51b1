"""Published weights of Presto (safetensors, PyTorch layout) into our encoder and decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.encoders.bands import GROUPS
from yieldcast.errors import ConfigError, MissingDataError, SchemaError

if TYPE_CHECKING:
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder

Arrays = Mapping[str, NDArray[np.float32]]
_HINT = "Give the file of a published Presto encoder, as safetensors."


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Arrays and notes of a safetensors file.

    Raises:
        MissingDataError: no such file.
        ConfigError: the package safetensors is not installed.
        SchemaError: not a safetensors file, or values that are not finite.
    """
    if not path.is_file():
        raise MissingDataError(f"no file {path}", _HINT)
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ConfigError(
            "published weights need the package safetensors", "Install it: pip install 'yieldcast[maps]'"
        ) from None
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            notes = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise SchemaError(f"{path}: not a safetensors file: {error}", _HINT) from None
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise SchemaError(f"{path}: expected finite weights, received others in {name}", _HINT)
    return arrays, notes


def encoder_from(arrays: Arrays, where: str, notes: Mapping[str, str] | None = None) -> PrestoEncoder:
    """An encoder with published weights.

    Args:
        arrays: by the published names.
        where: the file, for errors.
        notes: origin and licence, kept in the encoder.

    Raises:
        SchemaError: a weight is missing, unknown, or has another shape.
    """
    from yieldcast.encoders.presto import PrestoEncoder

    positions = arrays["pos_embed"].shape[1] if "pos_embed" in arrays else 0
    encoder = PrestoEncoder(positions=positions, notes=notes)
    encoder.build()
    _assign(names_of_encoder(encoder), arrays, where)
    return encoder


def names_of_encoder(encoder: PrestoEncoder) -> dict[str, tuple[Any, bool]]:
    """Variables of an encoder by their published names, and whether they are published transposed."""
    names: dict[str, Any] = {}
    for group in GROUPS:
        if group.columns:
            names |= _dense(f"eo_patch_embed.{group.name}", encoder.patches[group.name])
    names |= _dense("latlon_embed", encoder.latlon) | _norm("norm", encoder.norm)
    names["dw_embed.weight"] = (encoder.land_cover.embeddings, False)
    names["channel_embed.weight"] = (encoder.channel.embeddings, False)
    names["month_embed.weight"] = (encoder.encodings.month_table, False)
    names["pos_embed"] = (encoder.encodings.position_table, False)
    for i, block in enumerate(encoder.blocks):
        names |= _block(f"blocks.{i}", block)
    return names


def decoder_from(arrays: Arrays, where: str, notes: Mapping[str, str] | None = None) -> PrestoDecoder:
    """A decoder with published weights; arguments and errors as `encoder_from`."""
    from yieldcast.encoders.presto import PrestoDecoder

    positions = arrays["pos_embed"].shape[1] if "pos_embed" in arrays else 0
    decoder = PrestoDecoder(positions=positions, notes=notes)
    decoder.build()
    names = _dense("decoder_embed", decoder.embed) | _norm("decoder_norm", decoder.norm)
    for group in GROUPS:
        published = f"eo_decoder_pred.{group.name}" if group.columns else "dw_decoder_pred"
        names |= _dense(published, decoder.heads[group.name])
    names["mask_token"] = (decoder.mask_token, False)
    names["month_embed.weight"] = (decoder.encodings.month_table, False)
    names["pos_embed"] = (decoder.encodings.position_table, False)
    for i, block in enumerate(decoder.blocks):
        names |= _block(f"decoder_blocks.{i}", block)
    # the encoder's own table, stored again
    _assign(names, {n: v for n, v in arrays.items() if n != "channel_embeddings.weight"}, where)
    return decoder


def is_decoder(arrays: Arrays) -> bool:
    """Whether published weights are those of a decoder."""
    return "mask_token" in arrays


def _dense(name: str, layer: Any) -> dict[str, Any]:
    return {f"{name}.weight": (layer.kernel, True), f"{name}.bias": (layer.bias, False)}


def _norm(name: str, layer: Any) -> dict[str, Any]:
    return {f"{name}.weight": (layer.gamma, False), f"{name}.bias": (layer.beta, False)}


def _block(name: str, block: Any) -> dict[str, Any]:
    return (
        _norm(f"{name}.norm1", block.norm1)
        | _norm(f"{name}.norm2", block.norm2)
        | _dense(f"{name}.attn.qkv", block.attn.qkv)
        | _dense(f"{name}.attn.proj", block.attn.proj)
        | _dense(f"{name}.mlp.fc1", block.fc1)
        | _dense(f"{name}.mlp.fc2", block.fc2)
    )


def _assign(names: Mapping[str, Any], arrays: Arrays, where: str) -> None:
    missing, unknown = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    if missing or unknown:
        raise SchemaError(
            f"{where}: expected the {len(names)} weights of Presto; "
            f"missing: {', '.join(missing[:5]) or 'none'}; unknown: {', '.join(unknown[:5]) or 'none'}",
            _HINT,
        )
    for name, (variable, transposed) in names.items():
        values = arrays[name].T if transposed else arrays[name]
        if values.ndim == len(variable.shape) + 1:  # pos_embed has a leading 1
            values = values[0]
        if values.shape != tuple(variable.shape):
            raise SchemaError(
                f"{where}: expected {name} of shape {tuple(variable.shape)}, received {values.shape}", _HINT
            )
        variable.assign(values.astype(np.float32))
