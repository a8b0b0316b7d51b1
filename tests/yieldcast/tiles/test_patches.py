"""Patches from folders, lists and stacks: the same values from all, and what is refused."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.tiles.bands import BANDS, ReflectanceUnit, band_of, band_order
from yieldcast.tiles.image_files import ImageKind, open_image
from yieldcast.tiles.label_codes import CLASSES, codes_of_legend, harmonised_codes, with_no_data
from yieldcast.tiles.patch_files import read_patches
from yieldcast.tiles.patches import reflected, split, survey, whole_batches
from yieldcast.tiles.synthetic import synthetic_patches, write_image, write_patches

KIND, CODES = ImageKind(), harmonised_codes()
SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four patches of two countries as GeoTIFF pairs with a list."""
    return write_patches(tmp_path_factory.mktemp("patches"), count=2, side=SIDE).parent


def same(a, b):
    assert len(a) == len(b)
    for k in range(len(a)):
        for one, other in zip(a.load(k), b.load(k), strict=True):
            np.testing.assert_array_equal(one, other)


def test_values_are_reflectance_in_the_order_of_the_bands_and_classes(folder):
    images, labels = synthetic_patches(2, SIDE, 0, -1.0)
    patches = read_patches(folder, KIND, CODES)
    image, label = patches.load(1)
    np.testing.assert_allclose(image[3, 4], images[1, :, 3, 4] / 1e4, rtol=1e-6)
    np.testing.assert_array_equal(label, labels[1].astype(int) - 1)
    assert patches.countries.tolist() == ["north"] * 2 + ["south"] * 2
    assert set(patches.seasons) == {"2020"}


def test_folders_lists_and_stacks_read_the_same(folder, tmp_path):
    listed = read_patches(folder / "patches.csv", KIND, CODES)
    pairs = tmp_path / "pairs"
    for country in ("north", "south"):
        for part in ("image", "label"):
            (pairs / country / f"{part}s").mkdir(parents=True)
            for file in (folder / country).glob(f"*_{part}.tif"):
                name = file.name.replace(f"_{part}", "")
                (pairs / country / f"{part}s" / name).write_bytes(file.read_bytes())
    found = read_patches(pairs, KIND, CODES)
    assert (found.countries == listed.countries).all()
    same(found, listed)
    # north again, as a stack with bands in another order, in both files
    images, labels = synthetic_patches(2, SIDE, 0, -1.0)
    order = np.random.default_rng(0).permutation(13)
    names = np.array(BANDS)[order]
    np.savez(tmp_path / "stack.npz", image=images[:, order], label=labels, band=names, country=["north"] * 2)
    ds = xr.Dataset({"image": (("patch", "band", "y", "x"), images[:, order]),
                     "label": (("patch", "y", "x"), labels)}, {"band": names})  # fmt: skip
    ds.to_netcdf(tmp_path / "stack.nc", engine="h5netcdf")
    for name in ("stack.npz", "stack.nc"):
        same(read_patches(tmp_path / name, KIND, CODES), listed.take(np.array([0, 1])))


def test_bands_are_found_by_any_of_their_names():
    assert [band_of(text) for text in ("B8A", "b08", "8a", "swir16", "B13", "SCL", "B010")] == [
        "B8A", "B8", "B8A", "B11", None, None, "B10",
    ]  # fmt: skip
    order = band_order(["SCL", "B04", *(b for b in BANDS if b not in ("B4", "B10"))], None, ("B10",), "here")
    assert order.positions["B4"] == 1
    assert (len(order.positions), order.unused) == (12, ("SCL",))
    assert "B10" not in band_order(BANDS, None, ("B10",), "here").positions  # there, but not to be used


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ([None] * 13, None, "missing B1, B2.*bands without names"),
        (BANDS[:12], None, "missing B12"),
        ([*BANDS[:12], "B11"], None, "each band once"),
        (BANDS, BANDS[:12], "expected 12 bands"),
        (BANDS, (*BANDS[:11], "B12", "B11"), r"band 12 to be B12 \(--bands\), received the description B11"),
    ],
)
def test_other_band_orders_are_refused(names, given, message):
    with pytest.raises(SchemaError, match=message):
        band_order(names, given, (), "here")


def test_units():
    values, none = np.array([[900.0, 4000.0]]), np.zeros((1, 2), bool)
    np.testing.assert_allclose(ReflectanceUnit().reflectance(values, none, "here"), [[0.09, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(
        ReflectanceUnit("1").reflectance(values / 1e4, none, "here"), [[0.09, 0.4]], rtol=1e-6
    )
    np.testing.assert_allclose(
        ReflectanceUnit(offset=-1000).reflectance(values + 1000, none, "here"), [[0.09, 0.4]], rtol=1e-6
    )
    for scaling, wrong in ((ReflectanceUnit("1"), values), (ReflectanceUnit(), np.array([[65535.0, 1]])),
                           (ReflectanceUnit(), values.astype(np.uint8))):  # fmt: skip
        with pytest.raises(SchemaError):
            scaling.reflectance(wrong, none, "here")
    assert (
        ReflectanceUnit().reflectance(np.array([[65535.0, 1]]), np.array([[True, False]]), "here")[0, 0] == 0
    )


def refused(tmp_path, error, message, kind=KIND, codes=CODES, **changes):
    """A pair of files with one fault."""
    images, labels = synthetic_patches(1, SIDE, 0)
    image = changes.get("image", images[0])
    write_image(tmp_path / "a_image.tif", image, names=changes.get("names", BANDS))
    label = changes.get("label", labels[0])
    write_image(tmp_path / "a_label.tif", label[None], changes.get("corner", (5e5, 8e6)), ("class",))
    with pytest.raises(error, match=message):
        survey(read_patches(tmp_path, kind, codes))


def test_faults_of_files_are_named(tmp_path):
    images, labels = synthetic_patches(1, SIDE, 0)
    refused(
        tmp_path, SchemaError, "unit x10000, received no value above", image=(images[0] / 1e4).astype("f4")
    )
    refused(tmp_path, SchemaError, "bands without names", names=())
    refused(tmp_path, SchemaError, r"received 1 others: 9 \(1024 pixels\)", label=np.full_like(labels[0], 9))
    refused(tmp_path, SchemaError, "at another place", corner=(6e5, 8e6))
    refused(tmp_path, SchemaError, "expected the grid", label=labels[0][:-1])
    refused(tmp_path, SchemaError, "two classes", label=np.full_like(labels[0], 1))
    (tmp_path / "a_label.tif").unlink()
    with pytest.raises(SchemaError, match=r"1 files without their partner, e.g. a_image.tif"):
        read_patches(tmp_path, KIND, CODES)
    (tmp_path / "patches.csv").write_text("image,label\na_image.tif,no.tif\n")
    with pytest.raises(MissingDataError, match=r"no\.tif"):
        read_patches(tmp_path, KIND, CODES)
    for name, error in (("none", MissingDataError), ("text.txt", ConfigError), ("bad.npz", SchemaError),
                        ("bad.nc", SchemaError)):  # fmt: skip
        if name != "none":
            (tmp_path / name).write_text("text")
        with pytest.raises(error):
            read_patches(tmp_path / name, KIND, CODES)


def legend(tmp_path, rows, **options):
    pd.DataFrame(rows, columns=["code", "class"]).to_csv(tmp_path / "legend.csv", index=False)
    return codes_of_legend(tmp_path / "legend.csv", **options)


def test_legends_turn_codes_into_harmonised_classes(tmp_path):
    codes = legend(
        tmp_path, [(1, "maize"), (24, "wheat"), (22, "wheat"), (0, ""), (81, "ignore"), (5, "soybean")]
    )
    given = np.array([[1, 24, 22], [0, 81, 255]])
    made = codes.positions(given, given == 255, "here")
    np.testing.assert_array_equal(made, [[0, 3, 3], [-1, -1, -1]])
    assert codes.classes == CLASSES
    with pytest.raises(SchemaError, match=r"255 \(1 pixels\)"):
        codes.positions(given, given == 7, "here")
    np.testing.assert_array_equal(with_no_data(codes, [255]).positions(given, given == 7, "here"), made)
    # a code of the legend counts even where the file calls it no data
    assert codes.positions(np.array([[1]]), np.array([[True]]), "here")[0, 0] == 0


def test_legends_with_other_classes_are_refused_unless_wanted(tmp_path):
    rows = [(1, "cotton"), (2, "maize")]
    with pytest.raises(SchemaError, match="received others: cotton"):
        legend(tmp_path, rows)
    assert legend(tmp_path, rows, own_classes=True).classes == ("cotton", "maize")
    with pytest.raises(SchemaError, match="whole numbers as codes, received 'a'"):
        legend(tmp_path, [("a", "maize"), ("2", "wheat")])


def test_missing_pixels_of_an_image_have_no_label(tmp_path):
    images, labels = synthetic_patches(2, SIDE, 0)
    images[0, 4, 10, 11] = 65535
    np.savez(tmp_path / "a.npz", image=images, label=labels + 1, band=np.array(BANDS), nodata=65535)
    codes = with_no_data(harmonised_codes(), [])
    codes = type(codes)(CLASSES, {1: -1, **{k + 2: k for k in range(5)}})
    image, label = read_patches(tmp_path / "a.npz", KIND, codes).load(0)
    assert label[10, 11] == -1
    assert (image[10, 11] == 0).all()
    assert (label >= 0).sum() == ((labels[0] > 0).sum() - (labels[0, 10, 11] > 0))


def test_patches_that_were_not_public_move_nothing(folder, tmp_path):
    """as_of is law: other images, labels and places of later patches change no digit."""
    frame = pd.read_csv(folder / "patches.csv").assign(
        public_from=["2020-06-01", "2021-06-01"] * 2, name=range(4)
    )
    for part in ("image", "label"):
        frame[part] = [str(folder / one) for one in frame[part]]
    found = []
    for country in ("south", "elsewhere"):
        frame.loc[frame["public_from"] > "2021", "country"] = country
        frame.to_csv(tmp_path / "list.csv", index=False)
        patches = read_patches(tmp_path / "list.csv", KIND, CODES).known_on(dt.date(2020, 12, 31))
        found.append(survey(patches))
        late = frame["public_from"] > "2021"
        frame.loc[late, "image"], frame.loc[late, "label"] = frame["image"][0], frame["label"][2]
    assert found[0].fingerprint == found[1].fingerprint
    assert len(found[1].patches) == 2
    assert (found[0].patches.countries == found[1].patches.countries).all()
    with pytest.raises(SchemaError, match="received none"):
        patches.known_on(dt.date(2019, 1, 1))
    with pytest.raises(SchemaError, match="4 patches without it"):
        read_patches(folder, KIND, CODES).known_on(dt.date(2030, 1, 1))


def test_whole_patches_are_continued_by_reflection(folder):
    patches = read_patches(folder, KIND, CODES)
    assert reflected(np.arange(-3, 8), 4).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]
    assert reflected(np.arange(-3, 3), 1).tolist() == [0] * 6
    (_, images, labels), *_ = whole_batches(patches, np.array([2]), 64, 1)
    image, label = patches.load(2)
    np.testing.assert_array_equal(images[0, SIDE], images[0, SIDE - 2])
    np.testing.assert_array_equal(images[0, :SIDE, :SIDE], image)
    np.testing.assert_array_equal(labels[0, :SIDE, :SIDE], label)
    assert (labels[0, SIDE:] == -1).all()


def test_parts_have_patches_of_all_countries():
    countries = np.array(["a"] * 20 + ["b"] * 40 + ["c"] * 40)
    train, stop, test = split(countries, (0.1, 0.1), 3)
    assert sorted([*train, *stop, *test]) == list(range(100))
    assert [sorted(np.unique(countries[part], return_counts=True)[1]) for part in (stop, test)] == [
        [2, 4, 4]
    ] * 2
    assert (split(countries, (0.1, 0.1), 4)[2] != test).any()
    assert [len(part) for part in split(countries[:3], (0.1, 0.1), 0)] == [1, 1, 1]
    with pytest.raises(SchemaError, match="at least 3 labelled patches"):
        split(countries[:2], (0.1, 0.1), 0)


def test_images_are_read_in_windows_that_go_beyond_their_edges(tmp_path):
    images, _ = synthetic_patches(1, SIDE, 0)
    images[0, 2, 5, 6] = 9
    write_image(tmp_path / "image.tif", images[0], nodata=9)
    with open_image(tmp_path / "image.tif", KIND, placed=True) as image:
        whole, missing = image.whole()
        rows, columns = np.arange(-3, 40), np.arange(20, 50)
        part, gone = image.read(rows, columns)
    at = np.ix_(reflected(rows, SIDE), reflected(columns, SIDE))
    np.testing.assert_array_equal(part, whole[at])
    np.testing.assert_array_equal(gone, missing[at])
    assert missing[5, 6]
    write_image(tmp_path / "nowhere.tif", images[0], crs=None)
    with (
        pytest.raises(SchemaError, match="coordinate system"),
        open_image(tmp_path / "nowhere.tif", KIND, placed=True),
    ):
        pass
