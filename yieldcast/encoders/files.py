"""Encoder files: published weights converted once, read again, always with their origin and licence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yieldcast import model_files
from yieldcast.data.files import atomic_write
from yieldcast.encoders import published
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.model_files import RefusedModel
from yieldcast.model_files.own_models import OwnModel
from yieldcast.model_files.values import notes, whole
from yieldcast.user_code import names_function

if TYPE_CHECKING:
    from yieldcast.encoders.custom import CustomEncoder
    from yieldcast.encoders.embedding import Encoder
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder

PUBLISHED = ".safetensors"
_UNKNOWN = "unknown"
_MOST_POSITIONS = 10_000
_HINT = "Convert published weights with: yieldcast encoder import FILE.safetensors"


def convert(path: Path, out: Path) -> PrestoEncoder | PrestoDecoder:
    """Published weights, of an encoder or a decoder, to a Keras file.

    Args:
        path: safetensors.
        out: ends with .keras; an earlier file is replaced.

    Returns:
        what was written; its ``notes`` have origin, licence and SHA-256 of the published file.

    Raises:
        MissingDataError, ConfigError, SchemaError: as `published.read_safetensors` and `encoder_from`, or the
            disk refuses; nothing is written.
    """
    made: PrestoEncoder | PrestoDecoder = _from_published(path)
    atomic_write(out, lambda temporary: made.save(temporary))
    return made


def load_encoder(path: Path) -> PrestoEncoder | CustomEncoder:
    """The encoder of a file, or of a function of the user's.

    Args:
        path: a Keras file of `convert`, published weights (safetensors), or "package.module:function", see
            `custom.CustomEncoder`.

    Raises:
        MissingDataError: no such file.
        SchemaError: not an encoder of Presto.
        ConfigError: a function that fails or returns something else.
    """
    if names_function(str(path)):
        from yieldcast.encoders.custom import CustomEncoder

        return CustomEncoder(str(path))
    return load_presto(path)


def load_presto(path: Path) -> PrestoEncoder:
    """Presto's encoder from a file, for what needs its layers; see `load_encoder`."""
    found: Any = _load(path)
    from yieldcast.encoders.presto import PrestoEncoder

    if not isinstance(found, PrestoEncoder):
        raise SchemaError(f"{path}: expected an encoder of Presto, received {type(found).__name__}", _HINT)
    return found


def licence(encoder: PrestoEncoder | PrestoDecoder | CustomEncoder) -> str:
    """One line for readers: the licence and the origin of the weights."""
    notes = encoder.notes
    return f"licence {notes.get('licence', _UNKNOWN)}, from {notes.get('source', _UNKNOWN)}"


def weights_mark(model: Encoder | PrestoDecoder) -> str:
    """SHA-256 of the weights of an encoder or decoder, the same in all of its file formats."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight, dtype="<f4").tobytes())
    return digest.hexdigest()


def load_decoder(path: Path) -> PrestoDecoder:
    """The decoder of a file; arguments and errors as `load_presto`."""
    found: Any = _load(path)
    from yieldcast.encoders.presto import PrestoDecoder

    if not isinstance(found, PrestoDecoder):
        raise SchemaError(f"{path}: expected a decoder of Presto, received {type(found).__name__}", _HINT)
    return found


def _load(path: Path) -> Any:
    """Encoder or decoder of a Keras file or of published weights."""
    if path.suffix == PUBLISHED:
        return _from_published(path)
    if not path.is_file():
        raise MissingDataError(f"no encoder {path}", _HINT)
    try:
        own = own_models()
        return model_files.build(model_files.check(path, own=own), own=own)
    except RefusedModel as error:
        raise SchemaError(f"{path}: not an encoder file: {error}", _HINT) from None


def own_models() -> tuple[OwnModel, ...]:
    """Encoder and decoder, as files may hold them."""
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder

    def made(kind: Callable[..., Any]) -> Callable[..., Any]:
        def make(**config: Any) -> Any:
            model = kind(**config)
            model.build()
            return model

        return make

    known = {"positions": whole(1, _MOST_POSITIONS), "notes": notes}
    return tuple(
        OwnModel(f"yieldcast.encoders>{kind.__name__}", kind.__module__, known, made(kind))
        for kind in (PrestoEncoder, PrestoDecoder)
    )


def _from_published(path: Path) -> Any:
    arrays, notes = published.read_safetensors(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    notes = {"licence": _UNKNOWN, "source": _UNKNOWN, **notes, "file": path.name, "file_sha256": digest}
    if published.is_decoder(arrays):
        return published.decoder_from(arrays, str(path), notes)
    return published.encoder_from(arrays, str(path), notes)
