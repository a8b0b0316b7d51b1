"""`yieldcast workspace report`: tables, files, JSON and errors."""

import csv
import json

import openpyxl
import pytest
from scored_workspace import SETTINGS, scored_workspace, yield_workspace

from yieldcast.cli.app import main

FILES = ("leaderboard", "invoices", "costs", "cost_ranges", "looks", "audit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "WORKSPACE"
    scored_workspace(path).close()
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["workspace", "report", *map(str, arguments)])
    return ended.value.code


def rows_of(path, separator=","):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_the_report_shows_standing_costs_looks_and_log(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(folder) == 0
    shown = capsys.readouterr().out
    for text in (
        "Tiles of crops (synthetic data)", "cannot tell these apart: Beta, Gamma", "4,465,000", "2,220,000",
        "-2,245,000", "Income: 125.03 EUR", "10 looks at a holdout of 997 rows", "The audit log is whole: 14",
        "93% (91–95%)",
    ):  # fmt: skip
        assert text in shown
    assert "…" not in shown  # no number is cut off


def test_the_files_hold_the_same_numbers_in_csv_and_xlsx(folder, tmp_path, capsys):
    assert run(folder, "--out", tmp_path / "out") == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "report.json", *(f"{name}.{kind}" for name in FILES for kind in ("csv", "xlsx")),
    }  # fmt: skip
    costs = {row[0]: row[1:] for row in rows_of(out / "costs.csv")}
    internal = costs["Internal method"]
    assert [float(cell) for cell in internal[:-1]] == [0.845, 0.155, 232500, 4185000, 280000, 4465000]
    assert internal[-1] == ""
    assert float(costs["Transformer (Beta)"][-1]) == -2_245_000
    sheet = openpyxl.load_workbook(out / "costs.xlsx").active
    assert [cell.value for cell in sheet[2]][:6] == ["Internal method", 0.845, 0.155, 232500, 4185000, 280000]
    invoices = rows_of(out / "invoices.csv")
    assert len(invoices) == 4
    assert f"written: {out / 'looks.csv'}" in capsys.readouterr().out.replace("\n", "").replace(
        "csvw", "csv w"
    )


def test_portuguese_words_numbers_and_separators(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert run(folder, "--lang", "pt-BR", "--out", tmp_path) == 0
    shown = capsys.readouterr().out
    for text in ("4.465.000", "Método interno", "Receita: 125,03 EUR", "Registro de auditoria"):
        assert text in shown
    rows = rows_of(tmp_path / "costs.csv", ";")
    assert rows[1][0] == "Método interno"
    assert rows[1][2] == "0,1550"


def test_json_holds_everything_and_nothing_exact(folder, capsys):
    assert run(folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["overview", "leaderboard", "owner", "rare_ties", "audit"]
    assert found["leaderboard"]["board"]["internal"]["total"] == 4_465_000
    assert found["leaderboard"]["board"]["entries"][0]["tuned"] == {"value": 0.93, "low": 0.91, "high": 0.95}
    assert found["audit"]["whole"]
    assert found["owner"]["income"] == 125.03


def test_a_workspace_without_costs_and_scores_has_a_report_too(tmp_path, capsys):
    settings = {key: value for key, value in SETTINGS.items() if key != "costs"}
    scored_workspace(tmp_path / "WORKSPACE", settings, {"Alpha": []}).close()
    assert run(tmp_path / "WORKSPACE", "--out", tmp_path / "out") == 0
    assert "No model has been scored." in capsys.readouterr().out
    assert not (tmp_path / "out" / "costs.csv").exists()


def test_a_changed_log_is_called_broken(tmp_path, capsys):
    from sqlalchemy import text

    workspace = scored_workspace(tmp_path / "WORKSPACE", submissions={"Alpha": []})
    with workspace.database.engine.begin() as connection:
        for trigger in connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).scalars():
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text("UPDATE audit SET actor = 'nobody' WHERE sequence = 2"))
    workspace.close()
    run(tmp_path / "WORKSPACE")
    assert "BROKEN at entry 2" in capsys.readouterr().out


def test_errors_name_what_is_missing_and_write_nothing(folder, tmp_path, capsys):
    assert run(tmp_path / "nothing", "--out", tmp_path / "out") == 3
    assert "no workspace in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    assert run(folder, "--out", tmp_path / "file" / "out") == 3
    assert run(folder, "--lang", "xx") == 2


def test_a_report_of_yields_has_no_costs(tmp_path, capsys):
    yield_workspace(tmp_path / "WORKSPACE").close()
    assert run(tmp_path / "WORKSPACE", "--out", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "Beta is better than every other model." in shown
    assert "Errors of yields have no bound" in shown
    assert "Annual costs" not in shown
    assert not (tmp_path / "out" / "costs.csv").exists()
