"""Sphinx settings: `make docs` builds the pages into docs/_build/html, with warnings as errors."""

import os
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

# The reference imports every module of the packages; no page needs a GPU or TensorFlow's start-up lines.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project = "yieldcast"
author = "The yieldcast founders"
copyright = "2026, the yieldcast founders"
version = release = installed("yieldcast")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "py:obj"  # `Store` in a docstring links where there is such a name
exclude_patterns = ["_build", "reference/_commands.md"]
# Rooms may use one name for two things, as the client's `Submission` and that of the database: no link then.
suppress_warnings = ["ref.python"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist", "colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Source", "notes"), ("Sources", "notes")]

html_theme = "pydata_sphinx_theme"
html_title = f"yieldcast {release}"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("index", "quickstart", "architecture", "glossary")}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def setup(app: object) -> None:
    """Write the help of every command as Markdown, for reference/commands.md."""
    # without the title and the options of yieldcast itself
    commands = _help("yieldcast.cli.app", "app", "yieldcast").partition("\n## ")[2]
    # its command `fetch` stands for two: typer finds the other one in its own module only
    pixels = _help("yieldcast.cli.fetch_pixels", "pixels", "yieldcast fetch pixels")
    text = "## " + f"{commands}\n{pixels}".replace("\n# ", "\n## ")
    file = Path(__file__).with_name("reference") / "_commands.md"
    file.write_text(text, encoding="utf-8")


def _help(module: str, app: str, name: str) -> str:
    """The help of the commands of an app, as Markdown."""
    typer = [sys.executable, "-m", "typer", "--app", app, module, "utils", "docs", "--name", name]
    return subprocess.run(typer, capture_output=True, text=True, check=True).stdout
