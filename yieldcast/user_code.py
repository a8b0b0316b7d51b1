"""Functions of a user's own Python modules, named "package.module:function"."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from yieldcast.errors import ConfigError

_NAME = r"[^\W\d]\w*"
_TRUSTED: ContextVar[bool] = ContextVar("yieldcast_trusted_code", default=False)
_FUNCTION = re.compile(rf"{_NAME}(\.{_NAME})*(?<!\.py):{_NAME}")


def names_function(text: str) -> bool:
    """Whether a text is "package.module:function", the module without .py."""
    return bool(_FUNCTION.fullmatch(text))


def import_function(spec: str, setting: str) -> Callable[..., Any]:
    """The function of a specification.

    Args:
        spec: "package.module:function". The module is looked for in the current folder first, then where
            Python finds installed packages.
        setting: what names it, for errors.

    Raises:
        ConfigError: no such module or function, or the module failed while it was imported.
    """
    name, _, attribute = spec.partition(":")
    try:
        with current_folder_first():
            module = importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            message = f"no Python module {error.name!r} in {os.getcwd()} or among the installed packages"
            hint = "Start yieldcast in the folder that holds the module, or install the package."
        else:
            message = f"the module {name} failed while it was imported: {error!r}"
            hint = f"Correct it; python -c 'import {name}' shows the place."
        raise ConfigError(f"{setting} = {spec!r}: {message}", hint) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        functions = sorted(key for key, value in vars(module).items() if inspect.isfunction(value))
        raise ConfigError(
            f"{setting} = {spec!r}: expected a function {attribute!r} in {module.__file__}, received "
            f"{'nothing of that name' if function is None else type(function).__name__}",
            f"Its functions are: {', '.join(functions) or 'none'}.",
        )
    found: Callable[..., Any] = function
    return found


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Modules of the current folder are found, before others of their name."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)


def code_is_trusted() -> bool:
    """Whether code that a run names may be run, see `trusted_code`; not in other threads and processes."""
    return _TRUSTED.get()


@contextmanager
def trusted_code(trusted: bool = True) -> Iterator[None]:
    """Within the block runs that are opened may name code that is run: modules, layers of a user's own."""
    before = _TRUSTED.set(trusted)
    try:
        yield
    finally:
        _TRUSTED.reset(before)
