"""Walls around a process: `raise_walls` forks a child into them, where only what is listed can be reached."""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from yieldcast.workspace.sandbox import kernel, landlock, system_calls

SCRATCH = Path("/scratch")  # the only folder inside that can be written
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime")
_SEPARATE = (
    kernel.NEW_MOUNTS | kernel.NEW_PIDS | kernel.NEW_NETWORK | kernel.NEW_IPC | kernel.NEW_HOSTNAME
    | kernel.NEW_CGROUP
)  # fmt: skip
_NOBODY = range(64_900, 61_184, -1)  # ids that systemd.io/UIDS-GIDS leaves to services without an account
_PLACE = Path("/tmp")  # a mount point that every system has, in a mount namespace of our own


@dataclass(frozen=True)
class Limits:
    """What a job may use.

    Args:
        seconds: of the processor, all threads together; the wall time is kept from outside.
        memory: bytes of address space besides what the process had before.
        processes: processes and threads.
        disk: bytes of the scratch folder.
        file: bytes of one file.
        open_files: at a time.
    """

    seconds: int = 3600
    memory: int = 8 * 10**9
    processes: int = 256
    disk: int = 2 * 10**9
    file: int = 2 * 10**9
    open_files: int = 256


@dataclass(frozen=True)
class Walls:
    """Which walls are raised; all of them unless the machine cannot.

    Args:
        namespaces: users, mounts, processes, network, IPC, host name.
        landlock: for files.
        filter: of system calls.
    """

    namespaces: bool = True
    landlock: bool = True
    filter: bool = True


def visible() -> list[Path]:
    """What can be read inside: the system's libraries, Python, its packages and yieldcast itself."""
    package = Path(__file__).resolve().parents[2]
    python = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.prefix).resolve()}
    found = [Path(name) for name in _SYSTEM] + sorted(python) + [package]
    found = [path for path in dict.fromkeys(found) if path.exists() and path != Path("/")]
    return [path for path in found if not any(other in path.parents for other in found)]


def raise_walls(walls: Walls, limits: Limits, mapped: int = 0) -> None:
    """Go on in a child behind walls; the calling process ends as the child does.

    A process that is root becomes a user without account first: the kernel does not limit root's processes.

    Args:
        walls: which.
        limits: of the child.
        mapped: bytes of files that it maps into memory besides.

    Raises:
        OSError: in the child, a wall cannot be raised.
    """
    memory = _address_space() + limits.memory + mapped
    seen = visible()
    administrator = kernel.is_administrator()
    if walls.namespaces:
        if not administrator:
            _become_nobody()
            _own_users()
        kernel.unshare(_SEPARATE)
    _go_on_in_child()
    if walls.namespaces:
        _own_root(seen, limits)
    if administrator:
        _become_nobody()
        if walls.namespaces:
            _own_users()
    _limit(limits, memory)
    with contextlib.suppress(OSError):  # nothing to drop
        kernel.drop_capabilities()
    kernel.no_new_privileges()
    kernel.die_with_parent()
    os.umask(0o077)
    if walls.landlock:
        readable = [*seen, *(Path("/dev") / name for name in _DEVICES), Path("/proc")]
        landlock.restrict(readable, [SCRATCH] if SCRATCH.is_dir() else [])
    if walls.filter:
        system_calls.restrict()


def _address_space() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 8 * 10**9  # as much as TensorFlow maps
    return pages * resource.getpagesize()


def _go_on_in_child() -> None:
    """Fork; the parent waits and ends as the child does, and the child with it."""
    child = os.fork()
    if child == 0:
        kernel.die_with_parent()
        return
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _become_nobody() -> None:
    """Leave root for a user id without an account."""
    if os.geteuid() != 0:
        return
    for uid in _NOBODY:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            break
    with contextlib.suppress(PermissionError):  # root in a container without the right: the filter remains
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        kernel.be_readable()


def _own_users() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.NEW_USER)
    kernel.map_own_ids(uid, gid)


def _limit(limits: Limits, memory: int) -> None:
    """The limits of one process. The kernel counts processes per user and user namespace (Linux 5.14)."""
    for kind, value in (
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        most = resource.getrlimit(kind)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def _own_root(seen: list[Path], limits: Limits) -> None:
    """A root in memory with what is visible, read-only, a few devices, /proc and the scratch folder."""
    kernel.mount("none", Path("/"), flags=kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("tmpfs", _PLACE, "tmpfs", kernel.NO_SETUID | kernel.NO_DEVICES, "mode=755,size=1m")
    os.chdir(_PLACE)
    for name in ("old", "new"):
        os.mkdir(name, 0o755)
    kernel.pivot_root(b".", b"old")  # so that what lies below _PLACE is reached as well
    os.chdir("/")
    old, new = Path("/old"), Path("/new")
    kernel.mount("tmpfs", new, "tmpfs", kernel.NO_SETUID, "mode=755,size=1m")
    for path in seen:
        _bind(old / path.relative_to("/"), new / path.relative_to("/"))
    for name in _DEVICES:
        _bind(old / "dev" / name, new / "dev" / name, devices=True)
    _processes(old / "proc", new / "proc")
    scratch = new / SCRATCH.relative_to("/")
    scratch.mkdir()
    kernel.detach(b"/old")
    os.chdir(new)
    kernel.pivot_root(b".", b".")
    kernel.detach(b".")
    os.chdir("/")
    kernel.read_only(Path("/"), with_mounts_below=False)
    flags = kernel.NO_SETUID | kernel.NO_DEVICES | kernel.NO_EXECUTION
    kernel.mount("tmpfs", SCRATCH, "tmpfs", flags, f"mode=1777,size={limits.disk},nr_inodes=10000")
    os.chdir(SCRATCH)


def _processes(around: Path, target: Path) -> None:
    """A /proc of this namespace of processes; TensorFlow reads its own entries there.

    Where the /proc around hides parts of itself, as bubblewrap's does, the kernel gives no new one: then that
    one is shown, with the processes of the namespace around.
    """
    target.mkdir()
    flags = kernel.NO_SETUID | kernel.NO_DEVICES | kernel.NO_EXECUTION
    try:
        kernel.mount("proc", target, "proc", flags)
    except OSError:
        kernel.mount(str(around), target, flags=kernel.BIND | kernel.RECURSIVE)


def _bind(source: Path, target: Path, devices: bool = False) -> None:
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if source.is_symlink():  # such as /lib -> usr/lib; where it leads to is visible too
        target.symlink_to(os.readlink(source))
        return
    if source.is_dir():
        target.mkdir(mode=0o755, exist_ok=True)
    else:
        target.touch()
    kernel.mount(str(source), target, flags=kernel.BIND | kernel.RECURSIVE)
    if not devices:
        kernel.read_only(target)
