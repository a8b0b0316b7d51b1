"""The account at the Climate Data Store: address, key and licences."""

import socket

import pytest

from data_fetchers.cds import account
from data_fetchers.cds.account import Licence
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import PendingJob
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import CredentialsError, FetchError

KEY = "secret-token-123"
DATASET = "test-dataset"
REQUEST = {"year": ["2020"], "month": ["01", "02"], "variable": "2m_temperature"}


@pytest.fixture
def cds(cds_server, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    return Cds(f"{cds_server.url}/api", first_poll_s=0.01, longest_poll_s=0.05)


@pytest.fixture
def job(tmp_path):
    return PendingJob(tmp_path / "part.job.json")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "answer"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def test_doctor_sees_the_key(cds, cds_server, monkeypatch):
    assert account.check_key(cds.url)["role"] == "authenticated"
    monkeypatch.setenv("CDSAPI_KEY", "another-token")
    with pytest.raises(CredentialsError, match="does not know the key"):
        account.check_key(cds.url)
    with pytest.raises(RetryableError, match="no connection"):
        account.check_key(f"http://127.0.0.1:{closed_port()}/api")


def test_licences_are_found_accepted_and_then_enough(cds, cds_server, job, target):
    theirs = [["cc-by", 2], ["licence-to-use-copernicus-products", 12]]
    cds_server.set(licences=theirs, accepted=[["cc-by", 1]])  # an old revision of one, none of the other
    with pytest.raises(CredentialsError, match="licence"):
        cds.retrieve(DATASET, REQUEST, target, job)
    missing = account.missing_licences(cds.url, [DATASET, "reanalysis-era5-land"])
    assert missing == [
        Licence("cc-by", 2, "CC-BY licence", DATASET),
        Licence("licence-to-use-copernicus-products", 12, "Licence to use Copernicus Products", DATASET),
    ]
    account.accept(cds.url, missing)
    assert account.missing_licences(cds.url, [DATASET]) == []
    cds.retrieve(DATASET, REQUEST, target, job)


def test_nothing_is_accepted_by_looking(cds, cds_server):
    cds_server.set(accepted=[])
    assert account.missing_licences(cds.url, [DATASET])
    assert {row["method"] for row in cds_server.log()} == {"GET"}


def test_a_licence_that_is_on_no_list(cds, cds_server):
    cds_server.faults({"match": "vocabularies/licences", "kind": "body", "body": '{"licences": []}'})
    with pytest.raises(FetchError, match="not on the CDS's list") as caught:
        account.missing_licences(cds.url, [DATASET])
    assert "manage-licences" in caught.value.hint
