"""Address and key of the Climate Data Store, from arguments, environment and file."""

import pytest
from cds_calls import DATASET, KEY, REQUEST

from data_fetchers.cds import account
from data_fetchers.cds.client import Cds
from yieldcast.errors import CredentialsError


@pytest.mark.parametrize(
    ("env", "file", "message"),
    [
        ({}, None, "no key for the CDS"),
        ({}, "url: https://cds.climate.copernicus.eu/api\n", "no key for the CDS"),
        ({"CDSAPI_KEY": "12345:0000-1111"}, None, "UID:KEY"),
        ({}, "key: 12345:0000-1111\n", "UID:KEY"),
        ({"CDSAPI_KEY": "<PERSONAL-ACCESS-TOKEN>"}, None, "unexpected characters"),
        ({"CDSAPI_KEY": "to\nken"}, None, "unexpected characters"),
        ({"CDSAPI_KEY": "tökén-0000"}, None, "unexpected characters"),
        ({"CDSAPI_KEY": KEY, "CDSAPI_URL": "cds.climate.copernicus.eu"}, None, "not the address"),
        ({"CDSAPI_KEY": KEY, "CDSAPI_URL": "https://cds.climate.copernicus.eu:api"}, None, "not the address"),
        ({"CDSAPI_KEY": KEY, "CDSAPI_URL": "http://cds.climate.copernicus.eu/api"}, None, "unencrypted"),
    ],
)
def test_settings_that_cannot_work(monkeypatch, tmp_path, job, target, env, file, message):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if file is not None:
        (tmp_path / "no-cdsapirc").write_text(file)
    with pytest.raises(CredentialsError, match=message) as caught:
        Cds().retrieve(DATASET, REQUEST, target, job)
    assert caught.value.hint
    for key in ("0000-1111", "to\nken", KEY):
        assert key not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "address",
    [
        "https://maria:hidden@cds.climate.copernicus.eu/api",
        "https://hidden@cds.climate.copernicus.eu/api",
        "https://maria:hid/den@cds.climate.copernicus.eu/api",  # a slash ends the host: hid is no port
        "http://maria:hidden@cds.climate.copernicus.eu/api",
        "maria:hidden@cds.climate.copernicus.eu",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(monkeypatch, job, target, address):
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    monkeypatch.setenv("CDSAPI_URL", address)
    for use in (account.credentials, lambda: Cds().retrieve(DATASET, REQUEST, target, job)):
        with pytest.raises(CredentialsError, match="contains a user name or password") as caught:
            use()
        shown = f"{caught.value} {caught.value.hint}"
        assert not [secret for secret in ("maria", "hidden", "hid/den", KEY) if secret in shown]


def test_the_hint_says_where_a_token_comes_from(job, target):
    with pytest.raises(CredentialsError) as caught:
        Cds().retrieve(DATASET, REQUEST, target, job)
    for text in ("climate.copernicus.eu/profile", "~/.cdsapirc", "url:", "key:", "CDSAPI_URL", "CDSAPI_KEY"):
        assert text in caught.value.hint


@pytest.mark.parametrize("ending", ["/api", "/api/", "/api/v2", "/api/v2/", "/api/v1"])
def test_addresses_of_old_files_are_put_right(monkeypatch, ending):
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    url = f"https://cds.climate.copernicus.eu{ending}"
    assert account.credentials(url) == ("https://cds.climate.copernicus.eu/api", "CDSAPI_KEY")


def test_argument_environment_file_default(monkeypatch, tmp_path):
    file = tmp_path / "no-cdsapirc"
    file.write_text("url: https://file.example/api\nkey: key-of-file\n")
    assert account.credentials() == ("https://file.example/api", str(file))
    monkeypatch.setenv("CDSAPI_URL", "https://env.example/api")
    assert account.credentials() == ("https://env.example/api", str(file))
    assert account.credentials("https://arg.example/api")[0] == "https://arg.example/api"
    monkeypatch.delenv("CDSAPI_URL")
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    file.write_text("key: key-of-file\n")
    assert account.credentials() == ("https://cds.climate.copernicus.eu/api", "CDSAPI_KEY")


def test_a_file_that_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path))  # a folder
    with pytest.raises(CredentialsError, match="cannot be read"):
        account.credentials()
