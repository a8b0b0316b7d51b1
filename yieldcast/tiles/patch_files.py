"""Labelled patches in files: folders of GeoTIFF pairs, lists of them, stacks in NPZ or netCDF.

==============  =========================================================================================
what is given   what is read
==============  =========================================================================================
folder          patches.csv or patches.parquet in it, if there is one (see the next line); otherwise all
                pairs ``images/NAME.tif`` and ``labels/NAME.tif``, or ``NAME_image.tif`` and
                ``NAME_label.tif``, at any depth; the first folder on the way is the country
.csv, .parquet  columns image and label (paths from the folder of the list), and, if there are any, name,
                country, season, public_from (YYYY-MM-DD)
.npz, .nc       image (patch, band, y, x), label (patch, y, x), band (names), and, if there are any,
                name, country, season, public_from; a number ``nodata`` of the images
==============  =========================================================================================
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from yieldcast.data.files import open_hdf5
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.pixels.series_tables import read_table
from yieldcast.tiles.bands import Floats, band_order
from yieldcast.tiles.image_files import ImageKind, open_image, read_label
from yieldcast.tiles.label_codes import NO_DATA, LabelCodes, Labels
from yieldcast.tiles.patches import PatchSet, Texts

LISTS = ("patches.csv", "patches.parquet")
_TABLES, _STACKS = (".csv", ".parquet"), (".npz", ".nc")
_ABOUT = ("name", "country", "season", "public_from")
_HINT = "See the user guide on tiles for the forms of patches."


def read_patches(path: Path, kind: ImageKind, codes: LabelCodes) -> PatchSet:
    """The patches of a folder, a list or a stack; images are read later, one at a time.

    Args:
        path: see the table above.
        kind: bands and unit of all images.
        codes: of all labels.

    Raises:
        MissingDataError: no such file or folder.
        ConfigError: a file of another kind.
        SchemaError: no patches, files without their partner, columns or arrays that are missing.
    """
    if path.is_dir():
        lists = [path / name for name in LISTS if (path / name).is_file()]
        return _of_list(lists[0], kind, codes) if lists else _of_folder(path, kind, codes)
    if not path.is_file():
        raise MissingDataError(f"no file or folder {path}", _HINT)
    if path.suffix in _TABLES:
        return _of_list(path, kind, codes)
    if path.suffix in _STACKS:
        return _of_stack(path, kind, codes)
    raise ConfigError(
        f"{path}: expected a folder or a file that ends with {', '.join((*_TABLES, *_STACKS))}", _HINT
    )


def _of_folder(folder: Path, kind: ImageKind, codes: LabelCodes) -> PatchSet:
    images: dict[Path, Path] = {}
    labels: dict[Path, Path] = {}
    for file in sorted((*folder.rglob("*.tif"), *folder.rglob("*.tiff"))):
        for found, part in ((images, "image"), (labels, "label")):
            if file.parent.name == f"{part}s":
                found[file.parent.parent / file.stem] = file
            elif file.stem.endswith(f"_{part}"):
                found[file.parent / file.stem.removesuffix(f"_{part}")] = file
    if alone := sorted(set(images) ^ set(labels)):
        file = images.get(alone[0]) or labels[alone[0]]
        raise SchemaError(
            f"{folder}: expected an image and a label of each patch, received {len(alone)} files "
            f"without their partner, e.g. {file.relative_to(folder)}",
            _HINT,
        )
    if not images:
        raise SchemaError(f"{folder}: expected patches, received none", _HINT)
    keys = sorted(images)
    below = [key.relative_to(folder) for key in keys]
    frame = pd.DataFrame(
        {
            "image": [str(images[key]) for key in keys],
            "label": [str(labels[key]) for key in keys],
            "name": [one.as_posix() for one in below],
            "country": [one.parts[0] if len(one.parts) > 1 else "" for one in below],
        }
    )
    return _of_frame(frame, folder, folder, kind, codes)


def _of_list(path: Path, kind: ImageKind, codes: LabelCodes) -> PatchSet:
    frame = read_table(path)
    if lost := [name for name in ("image", "label") if name not in frame]:
        raise SchemaError(
            f"{path}: expected the columns image and label, {' and '.join(lost)} missing", _HINT
        )
    if "name" not in frame:
        frame = frame.assign(name=frame["image"])
    return _of_frame(frame, path.parent, path, kind, codes)


def _of_frame(frame: pd.DataFrame, folder: Path, where: Path, kind: ImageKind, codes: LabelCodes) -> PatchSet:
    pairs = [tuple(folder / str(row[part]) for part in ("image", "label")) for _, row in frame.iterrows()]
    if lost := [file for pair in pairs for file in pair if not file.is_file()]:
        raise MissingDataError(f"{where}: {len(lost)} files are missing, e.g. {lost[0]}", "Check the list.")
    about = {name: frame[name].tolist() for name in _ABOUT if name in frame}

    def load(k: int) -> tuple[Floats, Labels]:
        with open_image(pairs[k][0], kind) as image:
            reflectance, missing = image.whole()
            label = codes.positions(*read_label(pairs[k][1], image), str(pairs[k][1]))
        return reflectance, np.where(missing, np.int8(NO_DATA), label)

    return _patch_set(about, len(pairs), codes, kind.absent, load, str(where))


@dataclass(frozen=True)
class _Stack:
    """Arrays of a stack; `image` and `label` take a position."""

    image: Callable[[int], Any]
    label: Callable[[int], Any]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    band: list[str]
    nodata: float | None
    about: Mapping[str, Sequence[Any]]


def _of_stack(path: Path, kind: ImageKind, codes: LabelCodes) -> PatchSet:
    stack = _of_npz(path) if path.suffix == ".npz" else _of_netcdf(path)
    image, label = stack.shapes
    if len(image) != 4 or len(label) != 3 or (image[0], *image[2:]) != label or 0 in image:
        raise SchemaError(
            f"{path}: expected image (patch, band, y, x) and label (patch, y, x), received {image} "
            f"and {label}",
            _HINT,
        )
    if stack.band and len(stack.band) != image[1]:
        raise SchemaError(f"{path}: expected names of {image[1]} bands, received {len(stack.band)}", _HINT)
    order = band_order(stack.band or [None] * image[1], kind.bands, kind.absent, str(path))

    def load(k: int) -> tuple[Floats, Labels]:
        where = f"{path}, patch {k}"
        values = np.asarray(stack.image(k))[list(order.positions.values())]
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        if stack.nodata is not None:
            missing |= values == stack.nodata
        found = kind.scaling.reflectance(values, missing, where)
        if not missing.all():
            kind.scaling.check_bright(float(found.max()), where)
        none = missing.any(axis=0)
        given = np.asarray(stack.label(k))
        unknown = np.isnan(given) if given.dtype.kind == "f" else np.zeros(given.shape, bool)
        label = codes.positions(np.where(unknown, 0, given), unknown, where)
        label = np.where(none | unknown, np.int8(NO_DATA), label)
        return order.fill(np.where(none, np.float32(0), found)), label

    return _patch_set(stack.about, image[0], codes, kind.absent, load, str(path))


def _of_npz(path: Path) -> _Stack:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise SchemaError(f"{path}: not an .npz of arrays: {error}", _HINT) from None
    image, label = _needed(arrays, path)
    return _Stack(
        image.__getitem__, label.__getitem__, (image.shape, label.shape),
        [str(one) for one in np.atleast_1d(arrays.get("band", np.array([], str)))],
        float(arrays["nodata"]) if "nodata" in arrays else None,
        {name: np.atleast_1d(arrays[name]).tolist() for name in _ABOUT if name in arrays},
    )  # fmt: skip


def _of_netcdf(path: Path) -> _Stack:
    try:
        opened = open_hdf5(path)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        raise SchemaError(f"{path}: not a netCDF-4 file: {error}", _HINT) from None
    image, label = _needed(opened.variables, path)
    return _Stack(
        lambda k: image[k].values, lambda k: label[k].values, (image.shape, label.shape),
        [str(one) for one in opened["band"].values] if "band" in opened else [],
        float(opened["nodata"]) if "nodata" in opened else None,
        {name: opened[name].values.astype(str).tolist() for name in _ABOUT if name in opened},
    )  # fmt: skip


def _needed(arrays: Mapping[Any, Any], path: Path) -> tuple[Any, Any]:
    if lost := [name for name in ("image", "label") if name not in arrays]:
        raise SchemaError(f"{path}: expected the arrays image and label, {' and '.join(lost)} missing", _HINT)
    return arrays["image"], arrays["label"]


def _patch_set(
    about: Mapping[str, Sequence[Any]],
    count: int,
    codes: LabelCodes,
    absent: Sequence[str],
    load: Callable[[int], tuple[Floats, Labels]],
    where: str,
) -> PatchSet:
    texts = {name: _texts(about.get(name), count, name, where) for name in _ABOUT}
    if not texts["name"].astype(bool).all():
        texts["name"] = np.array([str(k) for k in range(count)])
    if len(np.unique(texts["name"])) < count:
        raise SchemaError(f"{where}: expected each patch once, received a name twice", "Check the list.")
    if count == 0:
        raise SchemaError(f"{where}: expected patches, received none", _HINT)
    columns = (texts["name"], texts["country"], texts["season"], _days(texts["public_from"], where))
    return PatchSet(*columns, codes.classes, tuple(absent), load)


def _texts(values: Sequence[Any] | None, count: int, name: str, where: str) -> Texts:
    if values is None:
        return np.full(count, "", dtype="U1")
    if len(values) != count:
        raise SchemaError(f"{where}: expected {name} of {count} patches, received {len(values)}")
    return np.array(["" if pd.isna(one) else str(one).strip() for one in values], dtype=str)


def _days(texts: Texts, where: str) -> Texts:
    for text in set(texts.tolist()) - {""}:
        try:
            np.datetime64(text[:10], "D")
        except ValueError:
            raise SchemaError(f"{where}: expected public_from as YYYY-MM-DD, received {text!r}") from None
    return np.array([text[:10] for text in texts.tolist()], dtype=str)
