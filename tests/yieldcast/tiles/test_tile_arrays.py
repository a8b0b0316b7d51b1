"""NPZ files of tiles: what claims more than it holds, or holds objects, is refused before it is read."""

import io
import zipfile

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.tiles.labelled_tiles import read_tiles
from yieldcast.tiles.tile_arrays import ArrayFile


def npy(array=None, shape=None, dtype="<u1", content=b""):
    """A member: an array, or a header that says what it likes."""
    buffer = io.BytesIO()
    if array is not None:
        np.save(buffer, array)
    else:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, header)
        buffer.write(content)
    return buffer.getvalue()


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


LABELS = npy(np.array(["a", "b"]))
IMAGES = npy(np.zeros((2, 4, 4), np.uint8))


def test_blocks_are_the_tiles_in_order(tmp_path):
    tiles = np.arange(5 * 3 * 3, dtype=np.uint16).reshape(5, 3, 3)
    path = archive(tmp_path / "a.npz", images=npy(tiles), labels=npy(np.array(list("abcde"))))
    blocks = list(ArrayFile(path, ("images",)).blocks(2))
    assert [len(one) for one in blocks] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks)[..., 0], tiles)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (npy(shape=(10**9, 64, 64)), "claims"),
        (npy(shape=(2**62, 2**62, 2**62)), "claims"),
        (npy(shape=(-2, 4, 4), content=b"\0" * 32), "claims"),
        (npy(shape=(2, 4, 4), content=b"\0" * 8), "ends before"),
        (npy(np.array([[["a"]], [["b"]]], dtype=object)), "Python objects"),
        (npy(np.zeros((2, 4), np.uint8)), r"\(tile, y, x\)"),
        (npy(np.zeros((2, 3, 8, 8), np.uint8)), "bands before y and x"),
        (npy(np.zeros((0, 4, 4), np.uint8)), r"\(tile, y, x\)"),
        (npy(np.zeros((2, 4, 4), np.float64)), "float64"),
        (npy(np.zeros((2, 4, 9000), np.uint8)), "4096"),
        (npy(np.asfortranarray(np.zeros((2, 4, 5), np.uint8))), "Fortran"),
        (b"no array", "not an array"),
        (b"", "not an array"),
    ],
)
def test_arrays_that_are_no_tiles_are_refused(tmp_path, images, match):
    path = archive(tmp_path / "a.npz", images=images, labels=LABELS)
    with pytest.raises(SchemaError, match=match):
        list(read_tiles(path).read())


@pytest.mark.parametrize(
    ("labels", "more", "match"),
    [
        (npy(np.array(["a"])), {}, "2 rows"),
        (npy(np.array([0, 2])), {"classes": LABELS}, "0 to 1"),
        (npy(np.array([0.5, 1.0])), {}, "texts or whole numbers"),
        (LABELS, {"groups": npy(np.array(["x"] * 3))}, "2 rows"),
        (npy(np.array(["a", " "])), {}, "1 of 2 without one"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, more, match):
    with pytest.raises(SchemaError, match=match):
        read_tiles(archive(tmp_path / "a.npz", images=IMAGES, labels=labels, **more))


def test_a_file_that_unpacks_without_end_is_refused(tmp_path):
    path = archive(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")  # the last entry of the directory: labels
    content[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SchemaError, match="unpacks"):
        read_tiles(path)


def test_a_damaged_or_missing_array_is_refused(tmp_path):
    whole = archive(tmp_path / "a.npz", images=IMAGES, labels=LABELS).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SchemaError, match="not an NPZ file"):
        read_tiles(tmp_path / "b.npz")
    with pytest.raises(SchemaError, match="no labels"):
        read_tiles(archive(tmp_path / "c.npz", images=IMAGES))
