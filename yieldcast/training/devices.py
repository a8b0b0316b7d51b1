"""The operations that differ between TensorFlow and JAX: gradients, compiling, devices.

TensorFlow is the default. With KERAS_BACKEND=jax the same step runs on JAX, without TensorFlow
installed. No other file of yieldcast depends on the backend.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

import keras
import numpy as np

from yieldcast.errors import ConfigError

Tensor = Any
Tree = Any  # nested dictionaries of arrays
STRATEGIES = ("auto", "default", "one-device", "mirrored", "multi-worker")


def check_strategy(name: str) -> None:
    """Check the name of a strategy.

    Raises:
        ConfigError: `choose_devices` does not know it.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"unknown strategy {name!r}", f"Use one of: {', '.join(STRATEGIES)} (--strategy).")


class Devices(Hashable, Protocol):
    """Where blocks of members are trained: one replica per device, each with its own values."""

    backend: str  # "tensorflow" or "jax"
    replicas: int
    kind: str  # "CPU", "GPU" or "TPU"
    worker: int  # this process among those of TF_CONFIG, from 0
    workers: int

    def place(self, trees: Sequence[Tree]) -> Any:
        """One tree of NumPy arrays per replica, on the devices."""

    def fetch(self, placed: Any, names: Sequence[str]) -> list[Tree]:
        """Entries of a dictionary that was placed or computed, as NumPy arrays, one per replica."""

    def compile(self, function: Callable[..., Tree], xla: bool = True) -> Callable[..., Any]:
        """`function` compiled as one program, run on every replica with its own values.

        Args:
            function: of arrays.
            xla: False where TensorFlow must not use XLA, which lacks some operations; JAX always uses it.
        """


def value_and_gradient(
    function: Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]], weights: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The second value of `function(weights)` and the gradient of the first.

    Args:
        function: returns (a scalar to differentiate, any other values).
        weights: by name.
    """
    if keras.backend.backend() == "jax":
        import jax

        (_, handed), gradient = jax.value_and_grad(function, has_aux=True)(weights)
        return handed, gradient
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        scalar, handed = function(weights)
    zero = tf.UnconnectedGradients.ZERO  # as JAX, for a weight without effect on the loss
    return handed, tape.gradient(scalar, weights, unconnected_gradients=zero)


def compile_alone(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function` of arrays compiled as one program, for one device and no strategy."""
    if keras.backend.backend() == "jax":
        import jax

        return cast(Callable[..., Tensor], jax.jit(function))
    import tensorflow as tf

    return cast(Callable[..., Tensor], tf.function(function, jit_compile=True, autograph=False))


def cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@lru_cache(maxsize=8)
def choose_devices(strategy: str = "auto") -> Devices:
    """The devices to train on.

    Args:
        strategy: "auto" (several hosts in TF_CONFIG: multi-worker; several GPUs: mirrored; one GPU:
            one-device; none: default), "default", "one-device" (first GPU, else CPU), "mirrored" (all
            GPUs, else all logical CPUs) or "multi-worker" (the hosts of TF_CONFIG). With JAX, "auto" and
            "mirrored" use all local devices, the others the first.

    Raises:
        ConfigError: unknown name, or "multi-worker" without TF_CONFIG or with JAX.
    """
    check_strategy(strategy)
    if keras.backend.backend() == "jax":
        return _Jax(strategy)
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()!r}; training needs TensorFlow or JAX",
            "Set KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax.",
        )
    return _TensorFlow(strategy)


class _TensorFlow:
    """Replicas of a `tf.distribute` strategy; no collective operation is used."""

    backend = "tensorflow"

    def __init__(self, name: str) -> None:
        import tensorflow as tf

        self._strategy = _tf_strategy(name)
        self.kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        several = isinstance(self._strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.workers = _hosts() if several else 1
        self.worker = _position(self._strategy.cluster_resolver) if several else 0
        default = self._strategy is tf.distribute.get_strategy()
        self._names = () if default else self._strategy.extended.worker_devices
        self.replicas = len(self._names) or 1

    def place(self, trees: Sequence[Tree]) -> Any:
        import tensorflow as tf

        def leaf(*values: Any) -> Any:
            if not self._names:
                return tf.constant(values[0])
            queue = zip(self._names, values, strict=True)  # used once per local replica, in order

            def next_value(context: Any) -> Any:
                device, value = next(queue)
                with tf.device(device):
                    return tf.constant(value)

            return self._strategy.experimental_distribute_values_from_function(next_value)

        return tf.nest.map_structure(leaf, *trees)

    def fetch(self, placed: Any, names: Sequence[str]) -> list[Tree]:
        import tensorflow as tf

        local, wanted = self._strategy.experimental_local_results, {name: placed[name] for name in names}
        return [
            tf.nest.map_structure(lambda leaf, r=replica: np.asarray(local(leaf)[r]), wanted)
            for replica in range(self.replicas)
        ]

    def compile(self, function: Callable[..., Tree], xla: bool = True) -> Callable[..., Any]:
        import tensorflow as tf

        program = tf.function(function, jit_compile=xla, autograph=False)

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def on_replicas(*placed: Any) -> Any:
            return self._strategy.run(program, args=placed)

        return on_replicas  # type: ignore[no-any-return]


def _position(resolver: Any) -> int:
    """Position of this process among the training hosts: the chief, if any, then the workers in order."""
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", []))
    return int(resolver.task_id) + (chiefs if resolver.task_type == "worker" else 0)


def _tf_strategy(name: str) -> Any:
    import tensorflow as tf

    if name == "multi-worker" or (name == "auto" and _hosts() > 1):
        if _hosts() < 1:
            raise ConfigError(
                "--strategy multi-worker needs the hosts in the environment variable TF_CONFIG",
                "README, 'Several hosts', has an example; or use --strategy auto.",
            )
        # First of all: listing devices starts TensorFlow, and the strategy must be made before that.
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one-device" if gpus else "default"
    if name == "mirrored":
        return tf.distribute.MirroredStrategy([device.name for device in gpus or cpus])
    if name == "one-device":
        return tf.distribute.OneDeviceStrategy((gpus or cpus)[0].name)
    return tf.distribute.get_strategy()


def _hosts() -> int:
    """Number of training hosts in TF_CONFIG; 0 when it is not set."""
    try:
        content = json.loads(os.environ.get("TF_CONFIG") or "{}")
        cluster = content.get("cluster", {})
        hosts = sum(len(cluster.get(role, [])) for role in ("chief", "worker"))
        if hosts > 1:
            cluster[content["task"]["type"]][content["task"]["index"]]
        return hosts
    except (ValueError, AttributeError, TypeError, LookupError):
        raise ConfigError(
            "expected the JSON that TensorFlow needs in the environment variable TF_CONFIG, received "
            f"{os.environ.get('TF_CONFIG')!r}",
            "It holds the hosts and this host's index: README, 'Several hosts', has an example.",
        ) from None


class _Jax:
    """Local JAX devices; calls are asynchronous, so that the devices compute in parallel."""

    backend, worker, workers = "jax", 0, 1

    def __init__(self, name: str) -> None:
        import jax

        if name == "multi-worker" or _hosts() > 1:
            raise ConfigError(
                "several hosts need the TensorFlow backend", "Unset KERAS_BACKEND=jax, or TF_CONFIG."
            )
        found = jax.local_devices()
        self._devices = found if name in ("auto", "mirrored") else found[:1]
        self.replicas = len(self._devices)
        self.kind = self._devices[0].platform.upper()

    def place(self, trees: Sequence[Tree]) -> Any:
        import jax

        return [jax.device_put(tree, device) for tree, device in zip(trees, self._devices, strict=True)]

    def fetch(self, placed: Any, names: Sequence[str]) -> list[Tree]:
        import jax

        wanted = [{name: tree[name] for name in names} for tree in placed]
        return [jax.tree.map(np.asarray, tree) for tree in jax.device_get(wanted)]

    def compile(self, function: Callable[..., Tree], xla: bool = True) -> Callable[..., Any]:
        import jax

        program = jax.jit(function)
        return lambda *placed: [program(*values) for values in zip(*placed, strict=True)]
