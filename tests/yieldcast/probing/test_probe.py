import json
import math

import numpy as np

from tests.factories import printed
from tests.yieldcast.probing.conftest import with_column
from yieldcast.cli.views.probe import probe_view
from yieldcast.probing.pipeline import Pipeline, Ridge
from yieldcast.probing.probe import probe_pipeline, write_report

ABOUT = {
    "crop": "soybean", "as_of": "2018-02-01", "train_years": list(range(2009, 2018)), "test_years": [2018],
    "synthetic": True,
}  # fmt: skip


def probed(rows):
    return probe_pipeline(Pipeline(rows, (2018,), Ridge()), about=ABOUT, rebuild=lambda year: rows)


def test_an_honest_pipeline_and_its_planted_twin(rows, tmp_path):
    honest = probed(rows)
    assert honest.failed == []
    day = 60 - rows.yield_kg_ha / 100 + np.random.default_rng(0).normal(0, 1, len(rows))
    planted = probed(with_column(rows, "harvest_day_of_year", day))
    assert planted.failed == ["harvest-date proxy", "one feature tells the outcome"]
    assert any("harvest_day_of_year carries" in str(text) for text in planted.warnings)
    write_report(planted, tmp_path / "probe.json")
    content = json.loads((tmp_path / "probe.json").read_text(encoding="utf-8"))
    assert (content["passed"], content["failed"]) == (False, planted.failed)
    lines = {line["probe"]: line for line in content["probes"]}
    assert lines["constant model"] == {
        "probe": "constant model", "score": 0.0, "limit": 1e-6, "honest": "at most", "unit": "skill",
        "detail": "every feature replaced by 0: nothing is known, skill 0", "verdict": "passed",
    }  # fmt: skip
    assert lines["your table knows what came later"]["score"] is None
    assert content["skill"]["ridge"] > content["skill"]["climatology"]


def test_the_report_on_a_screen_of_80_columns(rows):
    report = probed(rows)
    english, portuguese = (printed(probe_view(report, lang)) for lang in ("en", "pt-BR"))
    assert "soybean 2018 as of 2018-02-01, taught by 2009-2017 (synthetic data)" in " ".join(english.split())
    assert "no probe failed" in english
    assert "nenhum teste falhou" in portuguese
    assert max(map(len, english.splitlines())) <= 80
    assert math.isnan(report.lines[5].limit)  # no harvest dates
