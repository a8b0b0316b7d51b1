"""Windows of remote files: what is read, and every fault."""

import os

import numpy as np
import pytest
import rasterio
from stac_world import ZONE_21, metres, ramp

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.source import Retry, RetryableError, fetch_request
from data_fetchers.stac import access, collections
from data_fetchers.stac.collections import Catalogue
from data_fetchers.stac.items import item_of
from data_fetchers.stac.pixels import loaded
from data_fetchers.stac.source import Stac
from yieldcast.errors import CredentialsError, FetchError

S2 = "sentinel-2-l2a"
SIDE = 640  # pixels: a file of 820 kB, of which a window of 34 is read
TARGET_SIDE = 34


@pytest.fixture
def scene(world):
    """An image of 640 x 640 pixels whose numbers tell their places."""
    world.sentinel2("scene", "2020-11-10", None, size=SIDE)
    return world


def asked(source, url, feature, bands=("B4",)):
    """A request for 34 x 34 pixels around the middle, and their corner."""
    x, y = metres(-55.5, -12.0, ZONE_21, 10)
    target = {"crs": ZONE_21, "x": x, "y": y, "pixel": 10.0, "height": TARGET_SIDE, "width": TARGET_SIDE}
    served = {key: {"href": one["href"].replace("{base}", url)}
              for key, one in feature["assets"].items()}  # fmt: skip
    item = item_of({**feature, "assets": served}, source.collection, source.about)
    return source.image_request(item, target, bands), (x, y)


def red(scene):
    """The file of B4."""
    return next(scene.folder.glob("*red.tif"))


def run(source, request, folder, tries=3):
    RequestCache(folder).make()
    outcome = fetch_request(source, request, folder, Retry(tries, first_s=0.01))
    if outcome.error is not None:
        return outcome, None
    with np.load(RequestCache(folder).path(request)) as kept:
        return outcome, {band: loaded(band, kept[band]) for band in kept}


def plain(scene, server):
    url = scene.serve(server)
    source = Stac(url, S2)
    request, corner = asked(source, url, scene.features[0])
    return source, request, corner


def test_only_the_window_is_read_and_its_numbers_are_right(scene, stac_server, tmp_path):
    source, request, (x, y) = plain(scene, stac_server)
    outcome, bands = run(source, request, tmp_path / "cache")
    # reflectance x 10000: stored - 1000, from baseline 04.00 on
    expected = ramp(x, y, 10, (TARGET_SIDE, TARGET_SIDE)).astype(float) - 1000
    np.testing.assert_array_equal(bands["B4"], expected)
    assert (outcome.record["seen"], outcome.record["clear"]) == (TARGET_SIDE**2, TARGET_SIDE**2)
    log = [one for one in stac_server.log() if "red" in one["path"]]
    sent = sum(one["bytes"] for one in log if one["method"] == "GET")
    whole = red(scene).stat().st_size
    assert all(one["range"] for one in log if one["method"] == "GET")
    assert sent < 0.15 * whole
    # no side-car files, no listing
    assert {one["path"].rsplit("-", 1)[1] for one in stac_server.log()} == {"scl.tif", "red.tif"}


def test_clouds_are_taken_out_and_a_clouded_window_is_not_read(world, stac_server, tmp_path):
    flags = np.full((80, 80), 4)
    flags[:, :40] = 9  # cloud in the western half
    world.sentinel2("half", "2020-11-10", 2000, flags)
    world.sentinel2("whole", "2020-11-11", 2000, 8)
    url = world.serve(stac_server)
    source = Stac(url, S2)
    request, (x, _) = asked(source, url, world.features[0])
    _, bands = run(source, request, tmp_path / "cache")
    border = np.floor(metres(-55.5, -12.0, ZONE_21, 60)[0] - 800)
    border = np.floor(border / 60) * 60 + 40 * 20
    clear = x + 10 * np.arange(TARGET_SIDE) + 5 > border
    np.testing.assert_array_equal(np.isfinite(bands["B4"]), np.broadcast_to(clear, bands["B4"].shape))
    assert set(bands["B4"][:, clear].ravel()) == {1000.0}  # DN 2000: reflectance 0.1
    request, _ = asked(source, url, world.features[1])
    outcome, bands = run(source, request, tmp_path / "cache")
    assert np.isnan(bands["B4"]).all()
    assert (outcome.record["seen"], outcome.record["clear"]) == (TARGET_SIDE**2, 0)
    assert not [one for one in stac_server.log() if "whole-red" in one["path"]]


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 503}, {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
     {"kind": "cut", "share": 0.4}, {"kind": "lost"}, {"kind": "html"}, {"kind": "changed", "times": 1}],
    ids=lambda one: str(one.get("status", one["kind"])),
)  # fmt: skip
def test_faults_that_go_away_are_survived(scene, stac_server, tmp_path, capfd, fault):
    source, request, (x, y) = plain(scene, stac_server)
    stac_server.faults(
        {"times": 2, **fault, "match": f"GET /files/{next(scene.folder.glob('*red.tif')).name}"}
    )
    outcome, bands = run(source, request, tmp_path / "cache", 4)
    assert outcome.error is None
    assert outcome.tries > 1
    expected = ramp(x, y, 10, (TARGET_SIDE, TARGET_SIDE)).astype(float) - 1000
    np.testing.assert_array_equal(bands["B4"], expected)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_was_replaced_is_read_anew(scene, stac_server, tmp_path):
    """GDAL keeps what it read of an address: the header of the old file would be used for the new one."""
    source, request, _ = plain(scene, stac_server)
    _, before = run(source, request, tmp_path / "one")
    file = red(scene)
    with rasterio.open(file) as old:
        profile = {**old.profile, "driver": "GTiff", "blockxsize": 256, "blockysize": 256}
    with rasterio.open(file, "w", **profile) as new:
        new.write(np.full((1, SIDE, SIDE), 3000, np.uint16))
    assert not np.isin(before["B4"], 2000.0).all()
    _, after = run(source, request, tmp_path / "two")
    assert set(after["B4"].ravel()) == {2000.0}


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        ({"kind": "status", "status": 404}, FetchError, "404"),
        ({"kind": "status", "status": 403}, FetchError, "403"),
        ({"kind": "html"}, RetryableError, "red.tif sent a web page"),
        ({"kind": "status", "status": 503}, RetryableError, "503"),
        ({"kind": "cut", "share": 0.01}, RetryableError, "red.tif"),
    ],
    ids=lambda one: str(one.get("status", one["kind"])) if isinstance(one, dict) else "",
)  # fmt: skip
def test_faults_that_stay_are_errors_not_holes(scene, stac_server, tmp_path, fault, kind, text):
    source, request, _ = plain(scene, stac_server)
    name = red(scene).name
    stac_server.faults({**fault, "match": f"GET /files/{name}", "times": 999})
    outcome, bands = run(source, request, tmp_path / "cache", 2)
    assert bands is None
    assert type(outcome.error) is kind
    assert text in str(outcome.error)
    assert outcome.tries == (2 if kind is RetryableError else 1)
    assert list((tmp_path / "cache").glob("*.npz")) == []


def _wrong(world, what):
    x, y = metres(-55.5, -12.0, ZONE_21, 60)
    numbers = np.full((64, 64), 2000, np.uint16)
    files = {
        "3 bands": lambda: world.file("bad", np.stack([numbers] * 3), ZONE_21, x, y, 10),
        "no coordinate system": lambda: world.file("bad", numbers, None, x, y, 10),
        "pixels of 320 m": lambda: world.file("bad", numbers, ZONE_21, x, y, 320),
    }
    return files[what]()


@pytest.mark.parametrize("what", ["3 bands", "no coordinate system", "pixels of 320 m"])
def test_files_of_another_kind_are_refused(scene, stac_server, tmp_path, what):
    scene.features[0]["assets"]["red"]["href"] = _wrong(scene, what)
    source, request, _ = plain(scene, stac_server)
    outcome, _ = run(source, request, tmp_path / "cache")
    assert what in str(outcome.error)
    assert outcome.tries == 1


@pytest.mark.parametrize("href", ["s3://bucket/red.tif", "file:///etc/hostname", "/vsizip/x.zip/red.tif"])
def test_addresses_of_other_kinds_are_refused(scene, stac_server, tmp_path, href):
    scene.features[0]["assets"]["red"]["href"] = href
    source, request, _ = plain(scene, stac_server)
    outcome, _ = run(source, request, tmp_path / "cache")
    assert "expected an address of https or http" in str(outcome.error)


def test_a_missing_asset_is_named(scene, stac_server):
    url = scene.serve(stac_server)
    with pytest.raises(FetchError, match=r"asset nir or B08 for B8, received red, scl"):
        asked(Stac(url, S2), url, scene.features[0], ("B4", "B8"))


def local(monkeypatch, url, kind):
    table = {**collections.CATALOGUES, "local": Catalogue(url, kind, f"{url}/token")}
    monkeypatch.setattr("data_fetchers.stac.source.CATALOGUES", table)
    return Stac("local", S2, S2)


def test_links_are_signed_and_the_token_stays_out_of_the_cache(scene, stac_server, tmp_path, monkeypatch):
    source = local(monkeypatch, scene.serve(stac_server), "sas")
    stac_server.set(sign=True)
    request, (x, y) = asked(source, stac_server.url, scene.features[0])
    outcome, bands = run(source, request, tmp_path / "cache")
    assert outcome.error is None
    np.testing.assert_array_equal(bands["B4"], ramp(x, y, 10, bands["B4"].shape).astype(float) - 1000)
    tokens = [one for one in stac_server.log() if one["path"].startswith("/token/")]
    assert [one["path"] for one in tokens] == [f"/token/{S2}"]  # one for all files
    assert "sig=" not in "".join(file.read_text() for file in (tmp_path / "cache").glob("*.json"))
    # a token that is refused is asked for again
    name = red(scene).name
    stac_server.faults({"kind": "status", "status": 403, "match": f"GET /files/{name}"})
    outcome, _ = run(source, request, tmp_path / "again")
    assert (outcome.error, outcome.tries) == (None, 2)
    # and no message shows it
    stac_server.faults({"kind": "cut", "share": 0.01, "match": f"/files/{name}", "times": 99})
    outcome, _ = run(source, request, tmp_path / "third", 1)
    assert name in str(outcome.error)
    assert "sig" not in str(outcome.error)
    access.forget_token(source.api, S2)


def test_the_login_of_earthdata(scene, stac_server, tmp_path, monkeypatch):
    source = local(monkeypatch, scene.serve(stac_server), "earthdata")
    stac_server.set(bearer="my-token")
    request, _ = asked(source, stac_server.url, scene.features[0])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(access.ENVIRONMENT, raising=False)
    outcome, _ = run(source, request, tmp_path / "cache")
    assert isinstance(outcome.error, CredentialsError)
    assert access.ENVIRONMENT in outcome.error.hint
    (tmp_path / ".netrc").write_text("machine urs.earthdata.nasa.gov login me password secret\n")
    os.chmod(tmp_path / ".netrc", 0o600)
    assert access.gdal_settings(source.api)["GDAL_HTTP_NETRC"] == "YES"
    monkeypatch.setenv(access.ENVIRONMENT, "my-token")
    outcome, bands = run(source, request, tmp_path / "cache")
    assert outcome.error is None
    assert np.isfinite(bands["B4"]).all()
