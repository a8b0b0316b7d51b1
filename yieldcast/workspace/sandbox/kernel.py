"""Calls of the Linux kernel that Python 3.11 does not offer: namespaces, mounts, capabilities, prctl."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from pathlib import Path

# linux/sched.h
NEW_MOUNTS, NEW_CGROUP, NEW_HOSTNAME, NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEW_USER, NEW_PIDS, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
# linux/mount.h
NO_SETUID, NO_DEVICES, NO_EXECUTION = 0x2, 0x4, 0x8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2
_READ_ONLY, _RECURSIVELY = 0x1 | 0x2, 0x8000  # MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID; AT_RECURSIVE
_HERE = -100  # AT_FDCWD
# linux/prctl.h
_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38
_CAPABILITIES_3 = 0x20080522  # linux/capability.h: 64 bits in two structures
_ADMIN = 21  # CAP_SYS_ADMIN
# Numbers of calls without a function in the C library; those of 2019 on are the same everywhere.
_PIVOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def call(number: int, *arguments: object, what: str = "system call") -> int:
    """A system call by its number.

    Raises:
        OSError: the kernel refused.
    """
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    """New namespaces for this process; that of processes for its children."""
    _checked(_libc.unshare(flags), "unshare")


def map_own_ids(uid: int, gid: int) -> None:
    """In a new user namespace: keep the ids of this process, and no others."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system."""
    arguments = (source.encode(), os.fsencode(target), kind.encode() or None)
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"mount {target}")


def read_only(target: Path, with_mounts_below: bool = True) -> None:
    """Let nothing in a mount be written, whatever it was mounted from (Linux 5.12)."""

    class Attributes(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "users")]

    wanted, flags = Attributes(set=_READ_ONLY), _RECURSIVELY if with_mounts_below else 0
    call(
        _MOUNT_SETATTR, _HERE, os.fsencode(target), flags, ctypes.byref(wanted),
        ctypes.c_size_t(ctypes.sizeof(wanted)), what=f"mount_setattr {target}",
    )  # fmt: skip


def pivot_root(new: bytes, old: bytes) -> None:
    """Make a mount the root of this mount namespace."""
    number = _PIVOT.get(platform.machine())
    if number is None:
        raise OSError(f"pivot_root: its number on {platform.machine()} is not known")
    call(number, new, old, what="pivot_root")


def detach(target: bytes) -> None:
    """Unmount with everything below."""
    _checked(_libc.umount2(target, _DETACH), "umount2")


def die_with_parent(sign: int = signal.SIGKILL) -> None:
    """A signal for this process when the thread that started it ends. A change of ids forgets it."""
    _checked(_libc.prctl(_DEATH_SIGNAL, int(sign), 0, 0, 0), "prctl")


def be_readable() -> None:
    """After a change of ids: let this process write its own files in /proc again."""
    _checked(_libc.prctl(_DUMPABLE, 1, 0, 0, 0), "prctl")


def no_new_privileges() -> None:
    """No program that this process starts has more rights than it."""
    _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")


def drop_capabilities() -> None:
    """Give up all capabilities."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def is_administrator() -> bool:
    """Whether this process may make namespaces and mounts without a user namespace."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _ADMIN & 1)
    return False
