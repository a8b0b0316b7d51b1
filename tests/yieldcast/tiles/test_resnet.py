"""The encoder against PyTorch's numbers and against the same layers in NumPy, and the checked converter."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import save_file

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.tiles.published_resnet import assign, load_encoder, names_below, published_names
from yieldcast.tiles.resnet import resnet_encoder
from yieldcast.tiles.unet import small_encoder

# Made with torch 2.14 and torchvision 0.29: ResNet(Bottleneck, [1, 1, 1, 1]) with conv1 for 13 bands; weights
# and image of `published` below. Of relu, layer1 ... layer4: shape, mean, and the values [3, 0, 0],
# [5, -1, -1], [7, 0, -1] and [11, middle, middle].
TORCH = [
    ((64, 19, 23), 0.127789, [0.0, 0.0, 0.7155, 0.0]),
    ((256, 10, 12), 0.299002, [0.20819, 0.0, 0.44282, 0.49636]),
    ((512, 5, 6), 0.396432, [2.17242, 0.0979, 1.6837, 0.0]),
    ((1024, 3, 3), 0.42982, [0.89337, 0.17264, 0.0, 0.0]),
    ((2048, 2, 2), 0.403136, [0.0, 0.0, 0.50001, 0.0]),
]


def published(encoder, rng):
    """Random weights by their published names and shapes, in the order of the names."""
    made = {}
    for name, variable in sorted(published_names(encoder).items()):
        shape = tuple(variable.shape)
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
        if name.endswith("running_var"):
            values = rng.uniform(0.5, 1.5, shape)
        elif len(shape) == 4:
            values = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        elif name.endswith("weight"):
            values = rng.uniform(0.5, 1.2, shape)
        else:
            values = rng.normal(0, 0.1, shape)
        made[name] = values.astype(np.float32)
    return made


def features(encoder, image):
    """Features of a (band, y, x) image, each (channel, y, x)."""
    return [np.moveaxis(np.asarray(one)[0], -1, 0) for one in encoder(np.moveaxis(image, 0, -1)[None])]


def test_features_are_those_of_torchvision():
    encoder, rng = resnet_encoder(64, (1, 1, 1, 1)), np.random.default_rng(7)
    assign(encoder, published(encoder, rng), "here")
    image = rng.uniform(0, 0.6, (1, 13, 37, 45)).astype(np.float32)[0]
    for made, (shape, mean, values) in zip(features(encoder, image), TORCH, strict=True):
        assert made.shape == shape
        assert made.mean(dtype=np.float64) == pytest.approx(mean, abs=2e-6)
        middle = made[11, shape[1] // 2, shape[2] // 2]
        corners = [made[3, 0, 0], made[5, -1, -1], made[7, 0, -1], middle]
        np.testing.assert_allclose(corners, values, atol=2e-5)


def convolved(x, weight, stride, pad):
    """A convolution as PyTorch defines it, in float64."""
    size = weight.shape[2]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("cyxij,ocij->oyx", windows, weight.astype(np.float64))


def normed(x, arrays, name):
    mean, variance, scale, bias = (
        arrays[f"{name}.{part}"].astype(np.float64)[:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + bias


def in_numpy(arrays, image, depths):
    """The same encoder in NumPy, from the paper and PyTorch's documentation."""
    x = np.maximum(normed(convolved(image, arrays["conv1.weight"], 2, 3), arrays, "bn1"), 0)
    made = [x]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(-1, -2))
    for stage, depth in enumerate(depths, start=1):
        for i in range(depth):
            name, stride = f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1
            inside = x
            for conv, (step, pad) in enumerate(((1, 0), (stride, 1), (1, 0)), start=1):
                inside = convolved(inside, arrays[f"{name}.conv{conv}.weight"], step, pad)
                inside = normed(inside, arrays, f"{name}.bn{conv}")
                inside = np.maximum(inside, 0) if conv < 3 else inside
            if i == 0:
                x = convolved(x, arrays[f"{name}.downsample.0.weight"], stride, 0)
                x = normed(x, arrays, f"{name}.downsample.1")
            x = np.maximum(inside + x, 0)
        made.append(x)
    return made


def test_features_are_those_of_the_same_layers_in_numpy():
    depths, rng = (1, 2, 1, 1), np.random.default_rng(1)
    encoder = resnet_encoder(4, depths)
    arrays = published(encoder, rng)
    assign(encoder, arrays, "here")
    image = rng.uniform(0, 0.6, (13, 33, 47)).astype(np.float32)
    for made, wanted in zip(features(encoder, image), in_numpy(arrays, image, depths), strict=True):
        np.testing.assert_allclose(made, wanted, atol=1e-4, rtol=1e-4)


def names_of_resnet_50():
    """Shapes of the weights by their published names, from table 1 of He et al. 2016."""
    convolutions, norms, inputs = {"conv1": (64, 13, 7, 7)}, {"bn1": 64}, 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for i in range(depth):
            sizes = ((width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1))
            for k, size in enumerate(sizes, start=1):
                convolutions[f"layer{stage + 1}.{i}.conv{k}"] = size
                norms[f"layer{stage + 1}.{i}.bn{k}"] = size[0]
            if i == 0:
                convolutions[f"layer{stage + 1}.{i}.downsample.0"] = (4 * width, inputs, 1, 1)
                norms[f"layer{stage + 1}.{i}.downsample.1"] = 4 * width
            inputs = 4 * width
    parts = ("weight", "bias", "running_mean", "running_var")
    every = {f"{name}.weight": size for name, size in convolutions.items()}
    return every | {f"{name}.{part}": (size,) for name, size in norms.items() for part in parts}


@pytest.mark.slow
def test_the_full_encoder_takes_the_weights_of_resnet_50(tmp_path):
    file, names = tmp_path / "published.safetensors", names_of_resnet_50()
    assert len(names) == 53 * 5  # 53 convolutions, each with the four arrays of a normalisation
    arrays = {f"backbone.{name}": np.zeros(size, np.float32) for name, size in names.items()}
    arrays["backbone.layer2.3.conv2.weight"][5, 6, 0, 2] = 1
    arrays["backbone.bn1.num_batches_tracked"] = np.array(7)
    save_file(
        {**arrays, "backbone.fc.weight": np.zeros((2, 2048), np.float32)}, file, {"licence": "CC-BY-4.0"}
    )
    loaded, origin = load_encoder(file)
    kernel = np.asarray(loaded.get_layer("layer2_3_conv2").kernel)
    assert (kernel.sum(), kernel[0, 2, 6, 5]) == (1, 1)
    assert (np.asarray(loaded.get_layer("layer2_3_conv1").kernel) == 0).all()
    # 23,508,032 of torchvision's resnet50 without fc, 10 bands of 64 x 7 x 7 more, and 53,120 running values
    assert loaded.count_params() == 23_508_032 + 10 * 64 * 49 + 53_120
    assert (origin["prefix"], origin["not_used"]) == ("backbone.", "backbone.fc.weight")
    assert origin["licence"] == "CC-BY-4.0"


@pytest.fixture(scope="module")
def small():
    encoder = small_encoder(0)
    return encoder, published(encoder, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("layer3.0.bn2.running_mean"), "missing: layer3.0.bn2.running_mean; unknown: none"),
        (lambda a: a.update({"layer5.0.conv1.weight": a["conv1.weight"]}), "unknown: layer5.0.conv1.weight"),
        (lambda a: a.update({"conv1.weight": a["conv1.weight"][:, :12]}), "12 bands, not for the 13"),
        (lambda a: a.update({"conv1.weight": a["conv1.weight"][..., :5]}), r"shape \(8, 13, 7, 7\)"),
        (lambda a: a.update({"bn1.bias": a["bn1.bias"][:3]}), r"bn1.bias of shape \(8,\), received \(3,\)"),
        (lambda a: a.update({"bn1.running_var": -a["bn1.running_var"]}), "variances of 0 or more"),
    ],
)
def test_other_weights_are_refused_and_nothing_is_changed(small, change, message):
    encoder, arrays = small[0], dict(small[1])
    before = encoder.get_weights()
    change(arrays)
    with pytest.raises(SchemaError, match=message):
        assign(encoder, arrays, "here")
    assert all((a == b).all() for a, b in zip(before, encoder.get_weights(), strict=True))


def test_the_prefix_is_found_or_chosen(small):
    arrays = small[1]
    module = {f"module.{n}": v for n, v in arrays.items()}
    assert names_below(module, None, "here")[0].keys() == arrays.keys()
    both = {f"{p}.{n}": v for p in ("encoder_q", "encoder_k") for n, v in arrays.items()}
    with pytest.raises(ConfigError, match=r"received 2: encoder_k\., encoder_q\."):
        names_below(both, None, "here")
    found, prefix, unused = names_below(both, "encoder_q", "here")
    assert (found.keys(), prefix, len(unused)) == (arrays.keys(), "encoder_q.", len(arrays))
    with pytest.raises(SchemaError, match=r"start with encoder_q\., received others: queue"):
        names_below({"queue": np.zeros(3), **{f"encoder_q.{n}": v for n, v in arrays.items()}}, None, "here")
    with pytest.raises(SchemaError, match=r"expected backbone\.conv1"):
        names_below(arrays, "backbone", "here")
    with pytest.raises(SchemaError, match=r"received patch_embed\.weight"):
        names_below({"patch_embed.weight": np.zeros(3)}, None, "here")


def test_no_file_and_no_safetensors(tmp_path):
    with pytest.raises(MissingDataError):
        load_encoder(tmp_path / "no.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"weights")
    with pytest.raises(SchemaError, match="not a safetensors file"):
        load_encoder(tmp_path / "bad.safetensors")
