"""The Python of the README runs as it stands there."""

import doctest
from pathlib import Path

from yieldcast.data import synthetic
from yieldcast.data.store import Store

README = Path(__file__).parents[1] / "README.md"


def test_the_python_interface_of_the_readme(tmp_path, monkeypatch):
    tables = synthetic.country(municipalities=28, first_harvest_year=2007, harvest_years=12)
    Store.write(tmp_path / "STORE", tables, {})
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(README), 0)
    assert len(examples.examples) >= 10  # a README without examples would pass as well
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    failed = runner.run(examples, out=said.append).failed
    assert not failed, "".join(said)
