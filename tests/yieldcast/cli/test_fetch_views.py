"""What a terminal shows of a store that is being fetched."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

from rich.console import Console

from yieldcast.cli.progress import fetch_progress
from yieldcast.cli.views.store import import_view, status_view
from yieldcast.data.missing import first_names
from yieldcast.data.store import Store
from yieldcast.importing.columns import ImportLog
from yieldcast.language import sentence


def test_the_status_of_a_store_shows_missing_tables_and_all_sources(tmp_path, small):
    screen = Console(width=200, record=True, file=io.StringIO())
    store = Store.update(tmp_path, {"static": small.static}, {"places": {"source": "ibge"}})
    screen.print(status_view(store.status()))
    assert "yieldcast fetch weather" in (text := screen.export_text())
    assert "missing" in text
    store = Store.update(tmp_path, {"weather": small.weather}, {"weather": {"source": "era5"}})
    screen.print(status_view(store.status()))
    assert "yieldcast fetch weather" not in (text := screen.export_text())
    assert "ibge, era5" in text


def test_progress_shows_each_source_and_what_is_waited_for():
    source = SimpleNamespace(name="era5", total=4, bytes=2_000_000, done=1)
    source.waiting = {"tmax-2018": "queued at the CDS since 12:03"}
    screen = Console(width=140, record=True, force_terminal=True, file=io.StringIO())
    with fetch_progress(screen) as update:
        update([source])
        source.done = 4
        update([source])
    text = screen.export_text()
    assert "era5" in text
    assert "queued at the CDS since 12:03" in text


def test_the_status_of_a_store_in_portuguese(tmp_path, small):
    screen = Console(width=200, record=True, file=io.StringIO())
    store = Store.update(tmp_path, {"static": small.static, "weather": small.weather}, {})
    screen.print(status_view(store.status(), "pt"))
    text = screen.export_text()
    first = str(small.weather["time"].values[0].astype("datetime64[M]"))
    assert f"{first[5:]}/{first[:4]} a " in text
    assert f"{small.static.sizes['municipality']} municípios, " in text
    assert "faltando" in text  # yields
    assert "yieldcast fetch yields" in text
    for word in ("months", "municipalities", "missing", "written", "country"):
        assert word not in text
    day = str(store.status()["written"])
    assert f"{day[8:10]}/{day[5:7]}/{day[:4]} " in text


def test_an_import_in_portuguese():
    codes = first_names([f"{code}" for code in range(1100015, 1100035)])
    gaps = sentence("places without {table}: {codes}", table=sentence("weather"), codes=codes)
    log = ImportLog(
        read=[("places", "places", 5570)], warnings=[("weather", "a remark", 1234), ("weather", gaps, 20)]
    )
    log.extras("places", ["uf2", "x"])
    screen = Console(width=200, record=True, file=io.StringIO())
    screen.print(import_view(log, {"weather": "abcdef"}, "pt"))
    text = screen.export_text()
    assert "5.570" in text
    assert "2 AVISOS" in text
    assert "colunas não usadas: uf2, x" in text
    assert re.search("municípios sem dados de meteorologia: 1100015, .* e mais [0-9]+ ", text)
    assert "! meteorologia: a remark (1.234)" in text
    assert "nada foi descartado" in text
