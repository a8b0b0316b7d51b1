"""`yieldcast bulletins` as it is typed."""

import json

from factories import refused, synthetic_forecast

from yieldcast.operations.bulletins import write_bulletin


def test_bulletins_are_listed_and_compared(call, tmp_path, monkeypatch):
    root, file = tmp_path / "bulletins", tmp_path / "list.json"
    refused(call("bulletins", root), 3, "no bulletin")
    for as_of, shift in (("2017-11-15", 0.0), ("2018-02-15", -200.0)):
        write_bulletin(root, synthetic_forecast(as_of=as_of, shift_kg_ha=shift))
    monkeypatch.chdir(root)
    code, out, err = call("bulletins", "--json", file)  # of this folder
    assert (code, err) == (0, "")
    assert "synthetic data" in out
    dates = [line.split()[0] for line in out.splitlines() if line.strip().startswith("201")]
    assert dates == ["2017-11-15", "2018-02-15"]
    assert [row["as_of"] for row in json.loads(file.read_text(encoding="utf-8"))] == dates
    code, out, _ = call("bulletins", root, "--compare", "2018-02-15", "2017-11-15", "--json", file)
    assert code == 0
    assert "2017-11-15 and 2018-02-15" in out
    assert json.loads(file.read_text(encoding="utf-8"))["previous_as_of"] == "2017-11-15"
    refused(call("bulletins", root, "--compare", "2018-02-15", "2012-11-15"), 3, "no bulletin")
