import sys

import pytest

from yieldcast.cli import app


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line in this process on 80 columns; gives exit code, standard output and error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["yieldcast", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as caught:
            app.main()
        out = capsys.readouterr()
        return caught.value.code or 0, out.out, out.err

    return run
