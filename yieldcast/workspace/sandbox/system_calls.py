"""A filter of system calls (seccomp): no sockets, no new processes or programs, no mounts, no hidden memory.

Training needs threads, files that are open already and memory, and none of these calls.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

from yieldcast.workspace.sandbox.kernel import call

_MODE_FILTER = 1  # SECCOMP_SET_MODE_FILTER
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_X32 = 0x40000000  # calls of 32-bit pointers on x86-64 have numbers from here on
_THREAD = 0x00010000  # CLONE_THREAD: a clone without it is a new process
# name -> number; arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.18
_CALLS = {
    "x86_64": {
        "socket": 41, "connect": 42, "bind": 49, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
        "ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272,
        "setns": 308, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "keyctl": 250,
        "add_key": 248, "request_key": 249, "memfd_create": 319, "process_vm_readv": 310,
        "process_vm_writev": 311, "kexec_load": 246, "init_module": 175, "finit_module": 313,
        "open_by_handle_at": 304, "shmget": 29, "mq_open": 240,
    },
    "aarch64": {
        "socket": 198, "connect": 203, "bind": 200, "execve": 221, "execveat": 281,
        "ptrace": 117, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97,
        "setns": 268, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "keyctl": 219,
        "add_key": 217, "request_key": 218, "memfd_create": 279, "process_vm_readv": 270,
        "process_vm_writev": 271, "kexec_load": 104, "init_module": 105, "finit_module": 273,
        "open_by_handle_at": 265, "shmget": 194, "mq_open": 180,
    },
}  # fmt: skip
_EVERYWHERE = {
    "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
_CLONE, _CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
# Classic BPF (linux/bpf_common.h): load a word of the call, compare, test bits, return.
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # struct seccomp_data
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def is_known() -> bool:
    """Whether the numbers of calls on this kind of processor are known."""
    return platform.machine() in _CALLS and sys.byteorder == "little"


def program(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter in BPF: (operation, steps if true, steps if false, operand).

    Args:
        machine: kind of processor, as `platform.machine` names it.
    """
    refused = [
        step
        for number in sorted({**_CALLS[machine], **_EVERYWHERE}.values())
        for step in ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | errno.EPERM))
    ]
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        *refused,
        # The C library falls back to clone, whose flags a filter can read.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_EQUAL, 0, 3, _CLONE[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_BITS, 1, 0, _THREAD),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def restrict() -> None:
    """From now on the listed calls fail. The process must have no new privileges.

    Raises:
        OSError: the kernel refused, or the kind of processor is not known.
    """
    machine = platform.machine()
    if not is_known():
        raise OSError(f"numbers of system calls on {machine} are not known")
    steps = b"".join(struct.pack("<HBBI", *step) for step in program(machine))
    code = ctypes.create_string_buffer(steps, len(steps))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    wanted = Filter(len(steps) // 8, ctypes.cast(code, ctypes.c_void_p))
    call(_SECCOMP[machine], _MODE_FILTER, 0, ctypes.byref(wanted), what="seccomp")
