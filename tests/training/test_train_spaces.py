"""Training in every space and on one's own images, up to a run that is judged by the table."""

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import benchmarks
from benchmarks import UserError
from benchmarks.benchmark import space_of
from benchmarks.darts.genotypes import random_genotype
from benchmarks.nasbench101.space import Space101
from benchmarks.nasbench_macro.space import SpaceMacro
from benchmarks.spaces.layers import StackedConv2d
from benchmarks.table import load_table
from harness.cli.run import main as run_main
from harness.cli.train import main
from harness.inputs.draw import load_images
from harness.training.loop import _images, plan, train
from harness.training.recipe import Recipe, network_of
from harness.training.splits import load_splits
from harness.training.stack import _convolve

TINY = {
    "201": {"channels": 2, "cells_per_stage": 1},
    "101": {"channels": 2, "stacks": 2, "modules": 1},
    "macro": {"channels": 1, "head_channels": 2},
    "1shot1-1": {"channels": 2, "stacks": 2, "modules": 1},
    "mine": {"channels": 1, "head_channels": 2},
}
SHORT = {"train_images": 40, "valid_images": 10, "epochs": 1, "evaluation_copies": 1, "batch_size": 20}
WORDS = [word for name, value in SHORT.items() for word in (f"--{name.replace('_', '-')}", str(value))]


class Mine(SpaceMacro):
    """A space of a user's own, which names no reduced networks."""

    name = "mine"
    reduced: dict[str, int] = {}


@pytest.fixture(autouse=True)
def small_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of NAS-Bench-101 is its 91 cells of up to four vertices; a fifth benchmark is there; no data folder."""
    monkeypatch.setattr("benchmarks.nasbench101.space.VERTICES", 4)
    monkeypatch.setitem(benchmarks.BENCHMARKS, "mine", f"{__name__}:Mine")
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)


def judged(folder: Path, table: Path, bench: str) -> None:
    """Score two proxies on the table under the name of its benchmark."""
    folder.mkdir()
    table.rename(folder / f"nasbench{bench}.h5")
    options = ["--data", str(folder), "--proxies", "l2_norm,naswot", "--workers", "1", "--batch-size", "8"]
    assert run_main(["--bench", bench, *options, "--out", str(folder / "run")]) == 0


@pytest.mark.parametrize("bench", TINY)
def test_train_in_every_space_and_run_on_the_table(bench: str, tmp_path: Path, no_figures, capsys):
    recipe = Recipe(bench=bench, network=TINY[bench], **SHORT)
    path = train(tmp_path / "work", recipe, sample=2, seeds=1, workers=1)
    table = load_table(path, "digits")
    space = space_of(bench).whole()
    assert table.archs == tuple(plan(space, 2)) and table.accuracy.shape == (len(table), 2, 1, 1)
    judged(tmp_path / "data", path, bench)
    assert "naswot" in capsys.readouterr().out


@pytest.mark.parametrize(("bench", "archs"), [
    ("201", [f"|none~0|+|none~0|none~1|+|none~0|none~1|{last}~2|" for last in ("nor_conv_3x3", "none")]),
    ("darts", [str(random_genotype(np.random.default_rng(seed))) for seed in (5, 6)]),
])  # fmt: skip
def test_given_architectures_are_trained(bench: str, archs: list[str], tmp_path: Path, monkeypatch, capsys):
    """Those that a search found, by its runs.csv."""
    monkeypatch.setattr("harness.training.loop.train_stack", lambda space, archs, *_: np.zeros((len(archs), 2)))
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["seed", "arch"], *enumerate([*archs, archs[0]])])
    out = tmp_path / "work"
    options = ["--bench", bench, "--seeds", "1", "--workers", "1", "--out", str(out)]
    assert main([*options, "--archs-file", str(tmp_path / "runs.csv")]) == 0
    assert load_table(out / "table.h5", "digits").archs == tuple(archs)
    (tmp_path / "none.csv").write_text("seed,cell\n0,x\n")
    assert main([*options, "--archs-file", str(tmp_path / "none.csv")]) == 2
    assert "expected one called arch" in capsys.readouterr().err


@pytest.mark.parametrize("bench", ["201", "101", "macro", "1shot1-3"])
def test_the_table_carries_the_networks_that_were_trained(bench: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.training.loop.train_stack", lambda space, archs, *_: np.zeros((len(archs), 2)))
    path = train(tmp_path / "work", Recipe(bench=bench, **SHORT), sample=2, seeds=1, workers=1)
    path.rename(tmp_path / f"digits{bench}.h5")
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", tmp_path)
    benchmark = benchmarks.load(bench)
    space = space_of(bench)
    assert benchmark.network == {**space.network, **space.reduced, "input_channels": 1, "classes": 10}
    assert benchmark.resolution == 8 and benchmark.embedded


def test_the_whole_of_101_has_every_cell_once():
    space = Space101().whole()
    assert len(space) == len(set(space.class_id.tolist())) == 1 + 6 + 84
    assert Space101().whole().archs == space.archs


def test_settings_of_networks():
    space = SpaceMacro()
    assert network_of(space, {}) == {"channels": 4, "head_channels": 64}
    assert network_of(space, {"channels": 5}) == {"channels": 5, "head_channels": 64}
    assert network_of(Mine(), {}) == {"channels": 32, "head_channels": 1280}
    with pytest.raises(UserError, match="'chanels' .did you mean channels"):
        network_of(space, {"chanels": 5})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [1, 2, 4])
@pytest.mark.parametrize(("kernel", "groups"), [(5, 4), (5, 1), (3, 4), (1, 1)])
def test_sparing_padding_changes_nothing(kernel: int, groups: int, side: int, stride: int):
    generator = torch.Generator().manual_seed(kernel * side)
    layer = StackedConv2d((0, 1), 4, 4, kernel, stride, groups)
    weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3, 8, side, side, generator=generator, dtype=torch.float64, requires_grad=True)
    object.__setattr__(layer, "_parameters", {"weight": weight, "bias": None})
    expected = functional.conv2d(x, weight, None, stride, kernel // 2, 1, layer.groups)
    found = _convolve(layer, x)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y.square().sum(), (x, weight)) for y in (found, expected)]
    torch.testing.assert_close(*gradients)


# One's own images


def pixels_and_labels(images: int = 60, channels: int = 3, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.RandomState(0)
    return generator.randint(0, 256, (images, channels, side, side)).astype(np.uint8), np.arange(images) % 3


def as_npz(folder: Path) -> Path:
    pixels, labels = pixels_and_labels()
    np.savez(folder / "mine.npz", images=pixels, labels=labels)
    return folder / "mine.npz"


def as_folder(folder: Path) -> Path:
    from PIL import Image

    for number, (image, label) in enumerate(zip(*pixels_and_labels(), strict=True)):
        (folder / "mine" / f"class{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / "mine" / f"class{label}" / f"{number:03d}.png")
    return folder / "mine"


def as_cifar(folder: Path) -> Path:
    pixels, labels = pixels_and_labels()
    (folder / "mine").mkdir()
    for number, part in enumerate(np.split(np.arange(60), 2), start=1):
        content = {"data": pixels[part].reshape(len(part), -1), "labels": labels[part].tolist()}
        (folder / "mine" / f"data_batch_{number}").write_bytes(pickle.dumps(content))
    return folder / "mine"


@pytest.mark.parametrize("make", [as_npz, as_folder, as_cifar])
def test_own_images_from_training_to_the_report(make, tmp_path: Path, no_figures, monkeypatch, capsys):
    place = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["--bench", "macro", "--network", "channels=1,head_channels=2", *WORDS, "--sample", "2", "--seeds", "1"]
    assert main([*words, "--workers", "1", "--dataset", place.name, "--out", "work"]) == 0
    table = load_table(tmp_path / "work" / "table.h5", "mine")
    assert table.attributes["images"] == str(place) and table.attributes["classes"] == 3
    assert table.attributes["input_channels"] == 3 and table.attributes["resolution"] == 8
    monkeypatch.chdir("/")
    capsys.readouterr()
    judged(tmp_path / "data", tmp_path / "work" / "table.h5", "macro")
    assert "mine" in capsys.readouterr().out
    place.rename(tmp_path / "elsewhere")
    assert run_main(["--bench", "macro", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "again")]) == 2
    assert f"the images of 'mine' are no longer at {place}: name them with --inputs" in capsys.readouterr().err


def test_own_images_in_cifars_layout_are_those_that_were_written(tmp_path: Path):
    pixels, labels = pixels_and_labels()
    images = load_images(str(as_cifar(tmp_path)), None)
    order = np.r_[0:60]
    assert np.array_equal(images.pixels[order], pixels) and np.array_equal(images.labels, labels)
    assert images.classes == 3 and "60 images 3 x 8 x 8 from 2 files in CIFAR's layout" in images.source


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "expected a dictionary of data and labels, got list"),
        ({"data": np.zeros((2, 12), np.uint8)}, "expected data and labels or fine_labels in it, got data"),
        ({"data": np.zeros((2, 12), np.uint8), "labels": [0]}, "2 images but 1 labels"),
        ({"data": np.zeros((2, 13), np.uint8), "labels": [0, 1]}, r"expected data as uint8 .*got uint8 of shape"),
        ({"data": [[0] * 12], "labels": [0]}, "got list"),
    ],
)
def test_broken_files_in_cifars_layout(content, said: str, tmp_path: Path):
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=f"data_batch_1: .*{said}"):
        load_images(str(tmp_path), None)


def test_pixels_become_parts_of_one_and_floats_stay(tmp_path: Path):
    pixels, labels = pixels_and_labels()
    np.savez(tmp_path / "bytes.npz", images=pixels, labels=labels)
    np.savez(tmp_path / "floats.npz", images=pixels.astype(np.float32) / 10, labels=labels)
    recipe = Recipe(**SHORT)
    parts = load_splits(load_images(str(tmp_path / "bytes.npz"), None), recipe)
    floats = load_splits(load_images(str(tmp_path / "floats.npz"), None), recipe)
    assert [len(part.labels) for part in parts.values()] == [40, 10, 10]
    assert parts["train"].images.max() == 1 and parts["train"].images.min() == 0
    torch.testing.assert_close(floats["test"].images, parts["test"].images * 25.5)
    few = load_splits(load_images(str(tmp_path / "bytes.npz"), None), Recipe(**SHORT, test_images=4))
    assert torch.equal(few["test"].images, parts["test"].images[:4]) and len(few["valid"].labels) == 10
    resized = load_splits(load_images(str(tmp_path / "bytes.npz"), None), Recipe(**SHORT, resolution=4))
    assert resized["valid"].images.shape == (10, 3, 4, 4)
    torch.testing.assert_close(
        resized["valid"].images[:, :, 0, 0], parts["valid"].images[:, :, :2, :2].mean(dim=(2, 3))
    )


@pytest.mark.parametrize(
    ("shape", "words", "said"),
    [
        ((60, 1, 2, 2), "--bench 101", ["takes no images of 2 x 2 pixels", "give a larger --resolution"]),
        ((60, 3, 8, 6), "--bench macro", ["images of 8 x 6 pixels; networks take squares, give --resolution"]),
        ((50, 3, 8, 8), "--bench macro", ["50 images, but the recipe trains on 40 and validates on 10"]),
        ((60, 3, 8, 8), "--bench macro --test-images 11", ["so that 11 are left for the test"]),
        ((60, 3, 8, 8), "--network channels", ["--network channels: expected whole numbers by name"]),
        ((60, 3, 8, 8), "--network channels=0", ["--network channels=0: expected 1 or more"]),
        ((60, 3, 8, 8), "--bench 101 --network cells_per_stage=1,stacks=1", ["unknown", "cells_per_stage"]),
        ((60, 3, 8, 8), "--bench 1shot1", ["1shot1 is several spaces", "1shot1-2"]),
    ],
)
def test_what_does_not_fit_is_one_line(shape: tuple, words: str, said: list[str], tmp_path: Path, capsys):
    pixels = np.zeros(shape, np.uint8)
    np.savez(tmp_path / "mine.npz", images=pixels, labels=np.arange(len(pixels)) % 2)
    options = [*WORDS, "--dataset", str(tmp_path / "mine.npz"), "--sample", "2", "--out", str(tmp_path / "work")]
    assert main([*options, *words.split()]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and all(part in lines[0] for part in said), lines
    assert not (tmp_path / "work").exists()


def test_other_images_under_the_same_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.training.loop.train_stack", lambda space, archs, *_: np.zeros((len(archs), 2)))
    place = as_npz(tmp_path)
    recipe = Recipe(bench="macro", dataset=str(place), network=TINY["macro"], **SHORT)
    train(tmp_path / "work", recipe, sample=2, seeds=1, workers=1)
    record = tmp_path / "work" / "recipe.json"
    record.write_text(record.read_text().replace('"test_images": 0,', ""))  # as written before there was this setting
    train(tmp_path / "work", recipe, sample=2, seeds=1, workers=1)
    pixels, labels = pixels_and_labels()
    np.savez(place, images=pixels[::-1], labels=labels)
    with pytest.raises(UserError, match=r"another recipe \(images \w+ -> \w+\)"):
        train(tmp_path / "work", recipe, sample=2, seeds=1, workers=1)
    with pytest.raises(UserError, match="changed since the training began"):  # as a worker finds them, stacks later
        _images(str(place), None, "the checksum before")
