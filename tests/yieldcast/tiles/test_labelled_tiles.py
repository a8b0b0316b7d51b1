"""Labelled tiles from folders, lists and arrays: the same pixels, and refusals that name what is wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.tiles.labelled_tiles import read_tiles
from yieldcast.tiles.synthetic import write_image
from yieldcast.tiles.tile_files import png, read_tile

TILES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
LABELS = ["corn", "corn", "rye", "rye", "rye", "corn"]


def pixels(tiles):
    return np.concatenate(list(tiles.read()))


def write_folder(folder, group=lambda k: ""):
    for k, label in enumerate(LABELS):
        path = folder / label / group(k) / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(TILES[k, ..., 0]))
    return folder


def test_a_folder_has_a_subfolder_for_each_class(tmp_path):
    tiles = read_tiles(write_folder(tmp_path))
    assert tiles.labels.tolist() == ["corn"] * 3 + ["rye"] * 3
    assert tiles.groups is None
    assert tiles.kind.shape == (8, 8, 1)
    assert tiles.kind.dtype == "uint8"
    np.testing.assert_array_equal(pixels(tiles), TILES[[0, 1, 5, 2, 3, 4]])


def test_a_folder_between_class_and_file_is_the_group(tmp_path):
    tiles = read_tiles(write_folder(tmp_path, lambda k: f"farm {k % 2}"))
    assert tiles.groups.tolist() == ["farm 0", "farm 1", "farm 1", "farm 0", "farm 0", "farm 1"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_list_names_files_labels_and_groups(tmp_path, suffix):
    write_folder(tmp_path)
    rows = {"path": [f"{label}/{k}.png" for k, label in enumerate(LABELS)], "label": LABELS}
    frame = pd.DataFrame({**rows, "group": list("aabbcc")})
    path = tmp_path / f"list{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    tiles = read_tiles(path)
    assert tiles.labels.tolist() == LABELS
    assert tiles.groups.tolist() == list("aabbcc")
    np.testing.assert_array_equal(pixels(tiles), TILES)


def test_arrays_have_texts_or_positions_as_labels(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=TILES[..., 0], labels=np.array(LABELS))
    at = np.array([0, 0, 1, 1, 1, 0])
    np.savez(tmp_path / "b.npz", images=TILES, labels=at, classes=np.array(["corn", "rye"]))
    first, second = read_tiles(tmp_path / "a.npz"), read_tiles(tmp_path / "b.npz")
    assert first.labels.tolist() == second.labels.tolist() == LABELS
    np.testing.assert_array_equal(pixels(first), pixels(second))


def test_bands_of_a_geotiff_come_last(tmp_path):
    values = np.arange(3 * 8 * 8, dtype=np.uint16).reshape(3, 8, 8)
    write_image(tmp_path / "one.tif", values, names=("a", "b", "c"))
    np.testing.assert_array_equal(read_tile(tmp_path / "one.tif"), np.moveaxis(values, 0, -1))


def test_tiles_of_two_sizes_are_refused(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "rye" / "9.png").write_bytes(png(np.zeros((8, 9), np.uint8)))
    with pytest.raises(SchemaError, match=r"9\.png: expected 8 x 8 .* received 8 x 9"):
        pixels(read_tiles(tmp_path))


def test_jpeg_is_refused(tmp_path):
    (write_folder(tmp_path) / "rye" / "1.jpg").write_bytes(b"x")
    with pytest.raises(SchemaError, match=r"PNG and GeoTIFF files, received rye/1\.jpg"):
        read_tiles(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no image", b"<VRTDataset/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_files_that_are_no_images_are_refused(tmp_path, content):
    (write_folder(tmp_path) / "corn" / "0.png").write_bytes(content)
    with pytest.raises(SchemaError, match=r"0\.png: not a PNG or GeoTIFF"):
        read_tiles(tmp_path)


WHOLE = png(np.random.default_rng(1).integers(0, 256, (16, 16), dtype=np.uint8))


@pytest.mark.parametrize("end", [33, 60, len(WHOLE) // 2, len(WHOLE) - 20, len(WHOLE) - 12, len(WHOLE) - 1])
def test_a_truncated_png_is_refused(tmp_path, end):
    """GDAL reads it without an error."""
    (tmp_path / "one.png").write_bytes(WHOLE[:end])
    with pytest.raises(SchemaError, match="not a PNG or GeoTIFF"):
        read_tile(tmp_path / "one.png")


def test_a_png_with_any_bit_changed_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(WHOLE), 60):
        changed = bytearray(WHOLE)
        changed[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "one.png").write_bytes(changed)
        with pytest.raises(SchemaError, match="not a PNG or GeoTIFF"):
            read_tile(tmp_path / "one.png")


def test_a_png_whose_pixels_do_not_fill_its_size_is_refused(tmp_path):
    import zlib

    def chunk(kind, content):
        return (
            len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    header = (8).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    for size in (71, 73, 10**7):  # 8 rows of a filter byte and 8 pixels are 72
        parts = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(size))), (b"IEND", b"")
        (tmp_path / "one.png").write_bytes(WHOLE[:8] + b"".join(chunk(*part) for part in parts))
        with pytest.raises(SchemaError, match="missing or too many"):
            read_tile(tmp_path / "one.png")


def test_a_truncated_geotiff_is_refused(tmp_path):
    write_image(tmp_path / "one.tif", np.ones((2, 64, 64), np.uint16), names=("a", "b"))
    whole = (tmp_path / "one.tif").read_bytes()
    for end in (200, len(whole) // 2):
        (tmp_path / "two.tif").write_bytes(whole[:end])
        with pytest.raises(SchemaError, match="not a PNG or GeoTIFF"):
            read_tile(tmp_path / "two.tif")


def test_pixels_without_a_value_are_refused(tmp_path):
    values = np.ones((1, 8, 8), np.uint16)
    values[0, 2, 3] = 0
    write_image(tmp_path / "one.tif", values, names=("a",), nodata=0)
    with pytest.raises(SchemaError, match="received 1 pixels without one"):
        read_tile(tmp_path / "one.tif")


def test_an_image_that_claims_a_huge_size_is_refused_before_it_is_unpacked(tmp_path):
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape = {"width": 30000, "height": 30000, "count": 1, "dtype": "uint8"}
        rasterio.open(tmp_path / "one.tif", "w", driver="GTiff", sparse_ok=True, tiled=True, **shape).close()
    assert (tmp_path / "one.tif").stat().st_size < 1e6
    with pytest.raises(SchemaError, match="at most 4096 pixels a side"):
        read_tile(tmp_path / "one.tif")


def test_a_tile_without_label_a_missing_file_and_a_repeated_one_are_refused(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "tiles.csv"
    for text, error, match in (
        ("corn/0.png,\n", SchemaError, "a label for every tile, received 1 of 1"),
        ("corn/7.png,corn\n", MissingDataError, "1 files are missing"),
        ("corn/0.png,corn\ncorn/0.png,rye\n", SchemaError, "every file once"),
    ):
        path.write_text(f"path,label\n{text}")
        with pytest.raises(error, match=match):
            read_tiles(tmp_path)


def test_other_places_are_refused(tmp_path):
    (tmp_path / "a.zip").touch()
    for path, error in ((tmp_path / "none", MissingDataError), (tmp_path / "a.zip", ConfigError),
                        (tmp_path, SchemaError)):  # fmt: skip
        with pytest.raises(error):
            read_tiles(path)
