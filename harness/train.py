"""`python -m harness.train`: ground truth for one's own data, many architectures trained at once.

K architectures are one stack, so one training loop trains them all; each keeps its own initialisation, BatchNorm
statistics and gradients (losses are summed over architectures), while all see the same images in the same order. The
recipe is SGD with Nesterov momentum and a one-cycle learning rate (Smith and Topin, 2018, arXiv 1708.07120).
Finished stacks are committed one by one: repeating the command continues, more seeds or architectures extend the work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.errors import UserError
from harness.command import Parser, carry_out

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Recipe:
    """What fixes a training but the architecture and the seed. Angles in radians, shifts as parts of the side."""

    bench: str = "201"
    dataset: str = "digits"
    channels: int = 8
    cells_per_stage: int = 1
    train_images: int = 700
    valid_images: int = 400
    epochs: int = 12
    batch_size: int = 50
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    rotation: float = 0.8
    scale: float = 0.2
    shift: float = 0.125
    noise: float = 0.15
    evaluation_copies: int = 4
    split_seed: int = 0


@dataclass(frozen=True)
class Split:
    """Images in [0, 1] (images, channels, height, width) and their labels (images,)."""

    images: Tensor
    labels: Tensor


def load_splits(recipe: Recipe, folder: Path | None) -> tuple[dict[str, Split], int]:
    """Return the train, valid and test parts of a dataset (a fixed shuffle) and its number of classes."""
    import torch

    from harness.inputs import load_images

    data = load_images(recipe.dataset, folder)
    held_out = recipe.train_images + recipe.valid_images
    if len(data.labels) <= held_out:
        raise UserError(
            f"{data.source}: {len(data.labels)} images, but the recipe trains on {recipe.train_images} and validates on"
            f" {recipe.valid_images}: lower --train-images and --valid-images so that some are left for the test"
        )
    order = np.random.default_rng([recipe.split_seed, len(data.labels)]).permutation(len(data.labels))
    images = torch.from_numpy(data.pixels).float() / 255
    labels = torch.from_numpy(data.labels)
    bounds = {
        "train": (0, recipe.train_images),
        "valid": (recipe.train_images, held_out),
        "test": (held_out, len(order)),
    }
    return {name: Split(images[order[a:b]], labels[order[a:b]]) for name, (a, b) in bounds.items()}, data.classes


def distort(images: Tensor, recipe: Recipe, seed: int, round_: int) -> Tensor:
    """Return the images under random affine warps and Gaussian noise; the same for the same seed and round."""
    import torch
    from torch.nn import functional

    from harness.view import stream

    generator = stream(seed, f"round {round_}", "distortion")
    n = len(images)
    draw = torch.rand(n, 4, generator=generator) * 2 - 1
    angle, factor, shift = draw[:, 0] * recipe.rotation, 1 + draw[:, 1] * recipe.scale, 2 * recipe.shift * draw[:, 2:]
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2) * factor.view(
        n, 1, 1
    )
    grid = functional.affine_grid(torch.cat([rotation, shift.unsqueeze(2)], 2), list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, align_corners=False)
    return warped + recipe.noise * torch.randn(warped.shape, generator=generator)


def train_stack(
    names: list[str], indices: list[int], recipe: Recipe, seed: int, folder: Path | None, device: str
) -> np.ndarray:
    """Train the architectures as one stack; return accuracies in percent, (archs, splits (valid, test)).

    `names` are the canonical strings that seed each architecture's initialisation.
    """
    import torch
    from torch.nn import functional

    from benchmarks import space_of
    from benchmarks.layers import allocate
    from harness.view import initialise, stream

    splits, classes = load_splits(recipe, folder)
    train, k = splits["train"], len(indices)
    network = space_of(recipe.bench).build(
        indices, channels=recipe.channels, cells_per_stage=recipe.cells_per_stage, classes=classes,
        input_channels=train.images.shape[1],
    )  # fmt: skip
    allocate(network, "cpu")
    initialise(network, [stream(seed, name, "training") for name in names])
    network.to(device)
    optimiser = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    steps = -(-recipe.train_images // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps * recipe.epochs)
    held_out = {}
    for split in ("valid", "test"):
        rounds = [distort(splits[split].images, recipe, -1, copy) for copy in range(recipe.evaluation_copies)]
        held_out[split] = torch.cat(rounds).to(device), splits[split].labels.repeat(recipe.evaluation_copies).to(device)
    for epoch in range(recipe.epochs):
        images = distort(train.images, recipe, seed, epoch)
        order = torch.randperm(len(images), generator=stream(seed, f"round {epoch}", "order"))
        network.train()
        for batch in order.split(recipe.batch_size):
            logits = network(images[batch].repeat(1, k, 1, 1).to(device))  # (samples, archs, classes)
            labels = train.labels[batch].to(device).repeat_interleave(k)
            loss = functional.cross_entropy(logits.flatten(0, 1), labels, reduction="sum") / len(batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return np.stack([accuracy(network, *held_out[split], k) for split in ("valid", "test")], axis=1)


def accuracy(network, images: Tensor, labels: Tensor, k: int) -> np.ndarray:
    """Return the percentage of images each architecture gets right, BatchNorm in evaluation mode: (archs,)."""
    import torch

    network.eval()
    with torch.no_grad():
        right = sum(
            (network(part.repeat(1, k, 1, 1)).argmax(2) == truth.unsqueeze(1)).sum(0)
            for part, truth in zip(images.split(256), labels.split(256), strict=True)
        )
    return (100 * right / len(labels)).double().cpu().numpy()


def _work(job: tuple) -> Path:
    """Train one stack and commit its accuracies (written aside, then renamed)."""
    import os

    path, names, indices, recipe, seed, folder, device = job
    result = train_stack(names, indices, recipe, seed, folder, device)
    aside = path.with_suffix(".part")
    try:
        with aside.open("wb") as file:
            np.savez_compressed(file, accuracy=result, indices=np.array(indices))
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {path}: {error.strerror}; finished stacks are kept: make room and repeat"
        ) from error
    return path


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices (archs,), accuracy (archs, splits)) of a finished stack; UserError where the file is broken."""
    import zipfile
    import zlib

    try:
        with np.load(path) as part:
            return part["indices"], part["accuracy"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it, its networks will be trained again") from error


def plan(space, classes: int) -> tuple[list[int], list[int]]:
    """Return (strings, representatives): a uniform sample of strings holding the wanted number of networks."""
    order = space.sample(len(space), 0)
    strings: list[int] = []
    representatives: dict[int, int] = {}
    for index in order:
        key = int(space.class_id[index])
        if key not in representatives and len(representatives) == classes:
            break
        representatives.setdefault(key, key)
        strings.append(int(index))
    return strings, list(representatives)


def train(
    out: Path,
    recipe: Recipe,
    *,
    sample: int,
    seeds: int,
    stack: int = 32,
    workers: int = 2,
    folder: Path | None = None,
    device: str = "cpu",
) -> Path:
    """Train `sample` distinct architectures with each of `seeds` seeds; return the path of the finished table.

    `out` is the folder of the work: repeating the call continues it, a larger sample or more seeds extend it; another
    recipe in it is refused. Raises UserError for settings and folders that cannot be used.
    """  # fmt: skip
    from tqdm import tqdm

    from benchmarks import space_of
    from harness.processes import one_thread, work

    space = space_of(recipe.bench)
    _check(recipe, space, {"sample": sample, "seeds": seeds, "stack": stack, "workers": workers}, device)
    load_splits(recipe, folder)
    _claim(out, asdict(recipe) | {"stack": stack})
    strings, representatives = plan(space, sample)
    jobs = [(*job, recipe, seed, folder, device) for seed, *job in _missing(out, space, representatives, seeds, stack)]
    print(f"training {sample} architectures x {seeds} seeds into {out}; {len(jobs)} stacks to go", file=sys.stderr)
    with one_thread():
        done = work(_work, jobs, workers) if workers > 1 and len(jobs) > 1 else map(_work, jobs)
        for _ in tqdm(done, total=len(jobs), unit="stack", disable=not jobs):
            pass
    return finish(out, recipe, strings, space, seeds, stack, folder)


def _check(recipe: Recipe, space, counts: dict[str, int], device: str) -> None:
    """Raise one UserError that says everything that is wrong."""
    import torch

    least = {"channels": 1, "cells_per_stage": 1, "train_images": 1, "valid_images": 1, "epochs": 1, "batch_size": 1,
             "evaluation_copies": 1, **dict.fromkeys(counts, 1)}  # fmt: skip
    given = asdict(recipe) | counts
    wrong = [f"{name} {given[name]}: expected {low} or more" for name, low in least.items() if given[name] < low]
    positive = {"learning_rate": recipe.learning_rate}
    numbers = ("momentum", "weight_decay", "rotation", "scale", "shift", "noise")
    wrong += [
        f"{name} {value}: expected a number above 0" for name, value in positive.items() if not 0 < value < np.inf
    ]
    wrong += [f"{name} {given[name]}: expected 0 or more" for name in numbers if not 0 <= given[name] < np.inf]
    networks = len(np.unique(space.class_id))
    if counts["sample"] > networks:
        wrong.append(f"sample {counts['sample']}: {space.title} has {networks:,} distinct networks")
    if device.startswith("cuda") and not torch.cuda.is_available():
        wrong.append(f"device {device}: this PyTorch sees no CUDA device; use cpu")
    elif device != "cpu" and not device.startswith("cuda"):
        wrong.append(f"device '{device}': expected cpu, cuda or cuda:N")
    if wrong:
        raise UserError("; ".join(wrong))


def _claim(out: Path, settings: dict) -> None:
    """Make the folder of the work or see that it is one, made with the same settings."""
    record = out / "recipe.json"
    try:
        if record.exists():
            old = json.loads(record.read_text())
            if old != settings:
                said = [f"{key} {old.get(key)} -> {settings.get(key)}" for key in sorted(old.keys() | settings)
                        if old.get(key) != settings.get(key)]  # fmt: skip
                raise UserError(f"{out} holds a training with another recipe ({', '.join(said)}): give another --out")
        elif out.is_dir() and (others := sorted({path.name for path in out.iterdir()} - {"parts", "recipe.part"})):
            raise UserError(f"{out} is no training (it holds {others[0]} and no recipe.json): give another --out")
        (out / "parts").mkdir(parents=True, exist_ok=True)
        aside = record.with_suffix(".part")
        aside.write_text(json.dumps(settings, indent=1, sort_keys=True))
        aside.rename(record)
    except OSError as error:
        raise UserError(f"cannot write the folder {out}: {error.strerror}; give another --out") from error
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError) as error:
        raise UserError(f"{record} is damaged ({error}): give another --out, or delete the folder") from error


def _missing(out: Path, space, representatives: list[int], seeds: int, stack: int) -> Iterator[tuple]:
    """Yield (seed, path, canonical strings, indices) of every stack that is not trained yet."""
    for start in range(0, len(representatives), stack):
        chunk = representatives[start : start + stack]
        for seed in range(seeds):
            done = _done(out, space, seed)
            todo = [index for index in chunk if int(space.class_id[index]) not in done]
            if todo:
                path = out / "parts" / f"seed{seed}_{start + chunk.index(todo[0]):06d}.npz"
                yield seed, path, [space.canonical(index) for index in todo], todo


def _done(out: Path, space, seed: int) -> dict[int, np.ndarray]:
    """Return {class: accuracy (splits,)} of what is trained with a seed."""
    found: dict[int, np.ndarray] = {}
    for path in sorted((out / "parts").glob(f"seed{seed}_*.npz")):
        found |= {int(space.class_id[index]): row for index, row in zip(*_read(path), strict=True)}
    return found


def finish(
    out: Path, recipe: Recipe, strings: list[int], space, seeds: int, stack: int, folder: Path | None = None
) -> Path:
    """Gather the finished stacks into one table file, which `benchmarks.load` opens; return its path."""
    import hashlib
    import platform

    import torch

    from benchmarks.table import Table, save_tables
    from harness.inputs import load_images

    images = load_images(recipe.dataset, folder)
    done = [_done(out, space, seed) for seed in range(seeds)]
    classes = [int(space.class_id[index]) for index in strings]
    accuracy = np.array([[trained[each] for trained in done] for each in classes]).round(4)  # (archs, seeds, splits)
    accuracy = accuracy.transpose(0, 2, 1)[:, :, None]
    channels, resolution, _ = images.shape
    network = {
        "channels": recipe.channels, "cells_per_stage": recipe.cells_per_stage, "input_channels": channels,
        "resolution": resolution, "classes": images.classes,
    }  # fmt: skip
    table = Table(
        benchmark=recipe.bench,
        dataset=recipe.dataset,
        archs=tuple(space.archs[i] for i in strings),
        splits=("valid", "test"),
        epochs=(recipe.epochs,),
        seeds=tuple(map(str, range(seeds))),
        accuracy=accuracy,
        source=f"{recipe.dataset}: {len(set(classes))} distinct networks x {seeds} seeds"
        " trained by this project (harness.train)",
        checksum=hashlib.sha256(accuracy.tobytes()).hexdigest(),
        attributes={
            **network,
            "recipe": json.dumps(asdict(recipe) | {"stack": stack}, sort_keys=True),
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
    )
    path = out / "table.h5"
    try:
        save_tables(path, [table])
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; finished stacks are kept: make room and repeat"
        ) from error
    return path


def main(argv: list[str] | None = None) -> int:
    """Read the command line; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    parser = Parser(prog="python -m harness.train", description=__doc__.split("\n\n")[0])
    defaults = asdict(Recipe())
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default {value}")
    parser.add_argument("--sample", type=int, default=100, help="distinct architectures, drawn uniformly (default 100)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each architecture (default 3)")
    parser.add_argument(
        "--stack", type=int, default=32, help="architectures trained at once in one process (default 32)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--data", type=Path, help="folder of ground truth and images (default: NAS_HARNESS_DATA)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument("--out", type=Path, required=True, help="folder of the work and of the finished table.h5")
    given = vars(parser.parse_args(argv))

    def action() -> None:
        from benchmarks.sources import data_folder

        recipe = Recipe(**{name: given[name] for name in defaults})
        options = {name: given[name] for name in ("sample", "seeds", "stack", "workers", "device")}
        print(f"wrote {train(given['out'], recipe, folder=data_folder(given['data']), **options)}")

    stopped = f"stopped; finished stacks are kept in {given['out']}: repeat the command to continue"
    return carry_out("harness.train", action, stopped)


if __name__ == "__main__":
    from harness.train import main as importable  # what worker processes are sent has to have a module's name

    sys.exit(importable())
