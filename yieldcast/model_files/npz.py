"""Arrays of a file of weights in npz: plain arrays only, sizes checked before they are made."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from yieldcast.model_files.archive import read_members
from yieldcast.model_files.hdf5 import Weights
from yieldcast.model_files.refusal import RefusedModel, quoted

_HINT = "Save the model with its weights in HDF5, which is what model.save('model.keras') does."
_LONGEST_HEADER = 2000


def read_npz(content: bytes, most: int) -> Weights:
    """All arrays of a file, as views of its bytes.

    Args:
        content: of the file.
        most: bytes of all members together.

    Returns:
        as `hdf5.read_hdf5`; a member is called ``layers/dense/vars/0.npy``.

    Raises:
        RefusedModel: Python objects, other members, or sizes that are not those of the stored bytes. The npz
            files of Keras itself hold Python objects.
    """
    found: Weights = {}
    for name, member in read_members(content, "the file of weights", most).items():
        layer, _, number = name.removesuffix(".npy").rpartition("/")
        plain = name.endswith(".npy") and number.isdigit() and (layer == "vars" or layer.endswith("/vars"))
        array = _array(member, name)
        if not plain or ".." in name or name.startswith("/") or "\\" in name:
            raise RefusedModel(f"file of weights: unexpected member {quoted(name)}", _HINT, "npz")
        found.setdefault(layer.removesuffix("vars").removesuffix("/"), {})[number] = array
    return found


def _array(content: bytes, name: str) -> NDArray[Any]:
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        shape, by_column, kind = npy.read_array_header_1_0(stream, max_header_size=_LONGEST_HEADER)
    except Exception as error:  # numpy evaluates the header as a Python literal, which fails in many ways
        raise RefusedModel(f"{quoted(name)} is not an array: {quoted(str(error))}", _HINT, "npz") from None
    if kind.hasobject:
        raise RefusedModel(f"{quoted(name)} holds Python objects, which can run code", _HINT, "pickle")
    if kind.kind not in "fiu" or kind.itemsize > 8 or kind.byteorder == ">":
        raise RefusedModel(f"{quoted(name)} holds other than numbers: {quoted(str(kind))}", _HINT, "dtype")
    sizes = all(isinstance(length, int) and 0 <= length < 2**40 for length in shape) and len(shape) <= 8
    begin = stream.tell()
    if not sizes or math.prod(shape) * kind.itemsize != len(content) - begin:
        raise RefusedModel(
            f"{quoted(name)} declares the shape {quoted(str(shape))}, stores {len(content) - begin:,} bytes",
            _HINT, "size",
        )  # fmt: skip
    values = np.frombuffer(content, kind, math.prod(shape), begin)
    return values.reshape(shape, order="F" if by_column else "C")
