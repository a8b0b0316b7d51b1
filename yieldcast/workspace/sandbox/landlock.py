"""Landlock: a process gives up files, TCP and signals, without any privilege (Linux 5.13 on).

Source: Documentation/userspace-api/landlock.rst of Linux 6.18.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from yieldcast.workspace.sandbox.kernel import call

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE, _IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
# Rights over files by version of the interface: 13 at first, then REFER, TRUNCATE and IOCTL_DEV.
_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_ON_A_FILE = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_TCP = 0b11  # bind, connect; version 4
_SCOPES = 0b11  # abstract Unix sockets, signals; version 6


def version() -> int:
    """Version of the interface; 0 where the kernel has none or it is switched off."""
    try:
        return call(_CREATE, None, ctypes.c_size_t(0), _VERSION, what="landlock")
    except OSError:
        return 0


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """From now on this process and its children open nothing but what is below these paths.

    Files that are open already stay so. A path that cannot be reached any more is left out. The process must
    have no new privileges.

    Args:
        readable: files and folders to read.
        writable: folders for everything but running programs.

    Raises:
        OSError: the kernel refused.
    """
    found = version()
    if not found:
        raise OSError("the kernel has no Landlock")
    everything = (1 << _FILES[min(found, max(_FILES))]) - 1

    class Handled(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scopes")]

    handled = Handled(everything, _TCP if found >= 4 else 0, _SCOPES if found >= 6 else 0)
    size = 8 * (1 + (found >= 4) + (found >= 6))
    rules = call(_CREATE, ctypes.byref(handled), ctypes.c_size_t(size), 0, what="landlock_create_ruleset")
    try:
        for path in readable:
            _allow(rules, path, _READ | _LIST)
        for path in writable:
            _allow(rules, path, everything & ~_EXECUTE)
        call(_RESTRICT, rules, 0, what="landlock_restrict_self")
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    class Beneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("rights", ctypes.c_uint64), ("place", ctypes.c_int32)]

    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        beneath = Beneath(rights if path.is_dir() else rights & _ON_A_FILE, place)
        call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(beneath), 0, what=f"landlock_add_rule {path}")
    finally:
        os.close(place)
