"""TensorFlow loaded without the lines that it writes when it starts."""

from __future__ import annotations

import os
import sys
import tempfile

DEBUG = "--debug"  # anywhere on the command line: tracebacks, and TensorFlow's own lines


def load_tensorflow() -> None:
    """Import TensorFlow without its start-up lines on the user's screen; --debug shows them.

    TensorFlow 2.21 writes them before its own log level counts, straight to the file descriptor.
    """
    if DEBUG in sys.argv or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    screen = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(screen, 2)
            os.close(screen)
