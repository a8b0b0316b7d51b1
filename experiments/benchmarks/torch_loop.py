"""Worker of training.py, not a script of its own: a PyTorch loop over seeds.

Trains the network of `yieldcast.models.dual_path` with the same settings. Imports only NumPy and torch, so
that it runs in an interpreter without TensorFlow. It is written for speed: inputs are scaled once, rows are
shuffled by index without a DataLoader, Adam is the fused version, and losses are read once per epoch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from messages import (
    STATIC,
    TARGET,
    VALIDATED_AT_ONCE,
    WEATHER,
    answer,
    cores,
    loop_result,
    rows_of,
    split,
    task_of_this_process,
)  # fmt: skip
from torch import nn

Data = tuple[Any, Any, Any]  # weather, static, target; scaled tensors


def scaled(arrays: Mapping[str, Any], fit: Any) -> tuple[Any, Any, Any]:
    """Inputs to 0-1 and the target to unit variance, by the rows of the fit; missing soil by its mean."""
    weather, static, target = arrays[WEATHER], arrays[STATIC], arrays[TARGET]
    months = weather[fit].reshape(-1, weather.shape[-1])
    low, spread = months.min(axis=0), np.ptp(months, axis=0)
    weather = (weather - low) / np.where(spread > 0, spread, 1)
    static = np.where(np.isfinite(static), static, np.nan_to_num(np.nanmean(static[fit], axis=0)))
    low, spread = static[fit].min(axis=0), np.ptp(static[fit], axis=0)
    static = (static - low) / np.where(spread > 0, spread, 1)
    return weather, static, (target - target[fit].mean()) / target[fit].std()


def dense(width: int, units: tuple[int, ...], last: int | None = None) -> Any:
    """Dense layers with ReLU after each, and a linear one of `last` units."""
    layers: list[Any] = []
    for count in units:
        layers += [nn.Linear(width, count), nn.ReLU()]
        width = count
    return nn.Sequential(*layers, *([nn.Linear(width, last)] if last else []))


def network(settings: Mapping[str, Any], variables: int, features: int) -> Any:
    """The layers of the dual-path network; all LSTM layers have the units of the first."""
    lstm, static, head = (tuple(settings[f"{path}_units"]) for path in ("lstm", "static", "head"))
    return nn.ModuleDict(
        {
            "lstm": nn.LSTM(variables, lstm[0], num_layers=len(lstm), batch_first=True),
            "static": dense(features, static),
            "head": dense(lstm[0] + static[-1], head, 1),
        }
    )


def forward(net: Any, weather: Any, static: Any) -> Any:
    """The scaled yield, (row,)."""
    sequence, _ = net["lstm"](weather)
    joined = torch.cat([sequence[:, -1], net["static"](static)], dim=1)
    return net["head"](joined)[:, 0]


def optimizer(net: Any, settings: Mapping[str, Any], l2: float) -> Any:
    """Adam; the penalty l2 * w^2 on every kernel, none on biases, as its gradient 2 * l2 * w."""
    kernels = [p for name, p in net.named_parameters() if "weight" in name]
    biases = [p for name, p in net.named_parameters() if "weight" not in name]
    groups = [{"params": kernels, "weight_decay": 2 * l2}, {"params": biases, "weight_decay": 0.0}]
    betas = (settings["beta_1"], settings["beta_2"])
    return torch.optim.Adam(groups, lr=settings["learning_rate"], betas=betas, eps=1e-7, fused=True)


def fit_epoch(net: Any, adam: Any, data: Data, batch: int, noise: float) -> float:
    """One pass over the rows of the fit in random order; the mean loss."""
    weather, static, target = data
    order = torch.randperm(len(target), device=target.device)
    total = torch.zeros((), device=target.device)
    for rows in order.split(batch):
        noisy = weather[rows] + noise * torch.randn_like(weather[rows])
        loss = nn.functional.mse_loss(forward(net, noisy, static[rows]), target[rows])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        total += loss.detach() * len(rows)
    return float(total) / len(target)


def validate(net: Any, data: Data) -> float:
    """The mean loss of the rows held out."""
    weather, static, target = (values.split(VALIDATED_AT_ONCE) for values in data)
    with torch.no_grad():
        parts = zip(weather, static, target, strict=True)
        errors = [((forward(net, w, s) - t) ** 2).sum() for w, s, t in parts]
    return float(torch.stack(errors).sum()) / len(data[2])


def train_seed(task: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> tuple[float, list[float]]:
    """Train one seed: the clock when it was begun, and when each epoch ended."""
    began, ends = time.perf_counter(), []
    layers, settings = task["settings"]["network"], task["settings"]["training"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    fit, held = split(len(arrays[TARGET]), settings["validation_share"], seed)
    values = [torch.as_tensor(v, dtype=torch.float32, device=device) for v in scaled(arrays, fit)]
    fitted, kept = (tuple(v[torch.as_tensor(rows, device=device)] for v in values) for rows in (fit, held))
    net = network(layers, values[0].shape[-1], values[1].shape[-1]).to(device)
    adam = optimizer(net, settings, layers["l2"])
    for _ in range(task["epochs"]):
        losses = fit_epoch(net, adam, fitted, settings["batch_size"], layers["noise"]), validate(net, kept)
        if not all(map(np.isfinite, losses)):
            raise SystemExit(f"the loss became {losses}")
        ends.append(time.perf_counter())
    return began, ends


def main() -> None:
    """Train all seeds, one after the other."""
    task = task_of_this_process()
    torch.set_num_threads(len(cores()))
    arrays = rows_of(task)
    result = loop_result([train_seed(task, arrays, seed) for seed in range(1, task["members"] + 1)])
    device = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None
    answer({**result, "device_mib": device})


if __name__ == "__main__":
    main()
