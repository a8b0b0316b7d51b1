"""The terminal: a console, TensorFlow without its start-up lines, errors, interruptions, closed pipes."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console


DEBUG = "--debug"  # anywhere on the command line: shows tracebacks and TensorFlow's own lines
TRUST_CODE = "--trust-code"  # anywhere on the command line: code that runs name may be run
INTERRUPTED = 130  # exit code after Ctrl-C, as shells use it: 128 + SIGINT


class _Lenient:
    """A text stream that drops what its reader no longer takes: a closed pipe, a terminal that is gone.

    A forecast that is computed is still written, and the exit code says so.

    Args:
        stream: what is written to while it works.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        """Write nothing more; Python itself flushes the stream at its end and must not fail there."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        if error.errno not in (errno.EPIPE, errno.EIO) and self is sys.stdout:
            sys.stderr.write(f"the output is cut off: {error.strerror}\n")


def lenient_streams() -> None:
    """Make `sys.stdout` and `sys.stderr` drop what cannot be written, see `_Lenient`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the start, `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif not isinstance(stream, _Lenient):
            setattr(sys, name, _Lenient(stream))


def console(stderr: bool = False) -> Console:
    """A rich console that prints text as it is: no markup, no emoji codes, no colours for numbers."""
    from rich.console import Console  # late: --help must be fast

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def load_tensorflow() -> None:
    """Import TensorFlow without its start-up lines and its false alarm; --debug shows both.

    TensorFlow 2.21 writes the lines to the file descriptor of stderr before it reads its own log level. The
    false alarm is its warning of repeated tracing: it counts functions by their source code, and a forecast
    compiles one function from the same code for each number of rows.
    """
    if DEBUG in sys.argv or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    screen = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(screen, 2)
            os.close(screen)
    tf.get_logger().addFilter(_is_no_tracing_alarm)


def _is_no_tracing_alarm(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Within the block SIGTERM (schedulers stop jobs with it) and SIGHUP (the terminal is closed) do what
    Ctrl-C does; a signal that is ignored, as under nohup, stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    taken = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_during_fetch(screen: Console) -> NoReturn:
    """End the process after Ctrl-C during a fetch, without waiting for threads that a service blocks.

    A fetch that is cut off anywhere can be continued, so nothing is lost.
    """
    screen.print("stopped; what has arrived is kept, the same command goes on from there")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


@contextmanager
def short_errors() -> Iterator[None]:
    """Within the block an error raised on purpose ends the process: message, hint and its exit code.

    With --debug on the command line the error is passed on, with its traceback.
    """
    from calendars import CalendarError
    from yieldcast.errors import YieldcastError

    try:
        yield
    except (YieldcastError, CalendarError) as error:
        if DEBUG in sys.argv:
            raise
        fail(str(error), error.hint, error.exit_code)


def fail(message: str, hint: str, code: int) -> NoReturn:
    """Print an error and what to do about it on stderr, and exit with a code that a scheduler can act on."""
    from rich.text import Text

    screen = console(stderr=True)
    wrap = not screen.is_terminal  # a log file keeps long lines whole
    screen.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=wrap)
    if hint:
        screen.print(Text.assemble(("Hint: ", "bold"), hint), soft_wrap=wrap)
    sys.exit(code)
