"""Trained supernets: one for each seed, kept epoch by epoch, shared by all scores.

A folder of supernets has for each seed

    seed0.pt     weights, architecture parameters, optimisers and history at the end of the last epoch, and settings;
                 written whole after every epoch, so that an interrupt costs an epoch at most
    seed0.csv    the history, a row for each epoch
    epoch10/     such a folder as it was after that epoch, where --supernet-keep names it; never overwritten

Images are shuffled by the seed and halved: weights are trained on one half, architecture parameters on the other, of
which the first minibatches of a shuffle (`held_out`) are what a trained supernet is evaluated on, without augmentation.
Going on from a checkpoint gives, on a CPU, bit for bit what an uninterrupted training does.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.errors import UserError, quiet, say
from harness.inputs.draw import Minibatch, draw_minibatches
from harness.inputs.images import Images
from harness.operations.agreement import judge_choice
from harness.operations.setup import Setup
from harness.operations.supernets.checkpoint import read, save, settings_of
from harness.operations.supernets.darts import Bilevel, Training
from harness.operations.supernets.evaluation import evaluate
from harness.probe.initialise import stream
from harness.report.style import write_csv


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained supernet and what it is evaluated on."""

    network: Any
    """In evaluation mode; to train it further, take a copy."""
    alphas: Tensor
    """(edges, operations), before the softmax."""
    history: pd.DataFrame
    """epoch (from 1), seconds, learning_rate, train_loss, train_accuracy, valid_loss, valid_accuracy, skip_weight (the
    mean over edges), skip_edges (how many have it as their largest), operations (the largest of each edge), accuracy
    and rank of these in the table, and the weight of each operation, named `edge operation`."""
    held_out: list[Minibatch]
    train_half: Images
    training: Training
    seed: int

    @property
    def mask(self) -> Tensor:
        """The mixture of all operations, (edges, operations)."""
        return self.alphas.softmax(-1)

    @property
    def about(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return {"training": asdict(self.training), "epochs_done": len(self.history), "seconds": self.seconds,
                "evaluated_on": sum(len(each.targets) for each in self.held_out)}  # fmt: skip

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return float(self.history["seconds"].sum())


def supernet_of(setup: Setup, seed: int) -> Trained:
    """Return a seed's supernet: made before, kept in the folder, or trained now. UserError for other settings."""
    if seed not in setup.trained:
        setup.trained[seed] = _supernet(setup, seed)
    return setup.trained[seed]


def batches_of(half: Images, resolution: int | None, training: Training, seed: int, name: str) -> list[Minibatch]:
    """Return the minibatches of an epoch, each image in one of them at most, those that do not fill one left out."""
    size, own = training.batch_size, stream(seed, "supernet", f"images of {name}").initial_seed()
    return draw_minibatches(
        half, batch_size=size, count=len(half) // size, seed=own, resolution=resolution, augment=training.augment
    )


def halves(setup: Setup, training: Training, seed: int) -> tuple[Images, Images]:
    """Return the images for the weights and those for the architecture parameters; UserError where they are too few."""
    images = setup.images
    if not isinstance(images, Images):
        raise UserError(f"a supernet is trained on labelled images, not on --inputs {images}")
    order = torch.randperm(len(images), generator=stream(seed, "supernet", "halves")).numpy()
    order = order[: training.images or len(order)]
    largest = max(training.batch_size, setup.config.batch_size)
    half = len(order) // 2
    if half < largest:
        few = f"{len(order)} images are two halves of {half}, and a minibatch is {largest}"
        raise UserError(f"{few}: lower --supernet-batch and --batch-size, or raise --supernet-images")
    first, second = (
        replace(images, pixels=images.pixels[part], labels=images.labels[part]) for part in (order[:half], order[half:])
    )
    return first, second


def _supernet(setup: Setup, seed: int) -> Trained:
    place = Path(setup.config.supernet or setup.folder / "supernets")
    path = place if place.is_file() else place / f"seed{seed}.pt"
    kept = read(path, setup, seed) if path.exists() else None
    if setup.config.supernet and kept is None:
        raise UserError(f"--supernet {place}: there is no {path.name} in it; give a seed it has, or another folder")
    training = Training(**kept["settings"]["training"]) if setup.config.supernet and kept else setup.training
    parts = halves(setup, training, seed)
    size = setup.config.batch_size
    held_out = [setup.on_device(each) for each in draw_minibatches(
        parts[1], batch_size=size, count=min(setup.config.held_out, len(parts[1]) // size), seed=seed,
        resolution=setup.side,
    )]  # fmt: skip
    bilevel = Bilevel(setup.supernet(seed), setup.alphas(seed).to(setup.device), training)
    history: list[dict[str, Any]] = []
    if kept:
        history = kept["history"]
        bilevel.load(kept["state"])
        say(f"supernet of seed {seed}: epoch {len(history)} of {training.epochs} from {path}")
    if not setup.config.supernet:
        _train(setup, seed, bilevel, parts, held_out, history, path)
    network = bilevel.network.eval().requires_grad_(False)
    return Trained(network, bilevel.alphas.detach().cpu(), pd.DataFrame(history), held_out, parts[0], training, seed)


def _train(
    setup: Setup, seed: int, bilevel: Bilevel, parts: tuple[Images, Images], held_out: list[Minibatch],
    history: list[dict], path: Path,
) -> None:  # fmt: skip
    """Train the epochs that `history` lacks, and keep each."""
    training = bilevel.training
    steps, settings = len(parts[0]) // training.batch_size, settings_of(setup, seed)
    todo = range(len(history), training.epochs)
    keep = _to_keep(setup, seed, path, todo.start)
    bar = tqdm(
        total=training.epochs * steps, initial=todo.start * steps, unit="step", desc=f"supernet, seed {seed}",
        disable=quiet() or not todo,
    )  # fmt: skip

    def pairs(epoch: int) -> Iterator[tuple[Minibatch, Minibatch]]:
        both = (batches_of(half, setup.side, training, seed, f"epoch {epoch}, half {number}")
                for number, half in enumerate(parts))  # fmt: skip
        for train, valid in zip(*both, strict=False):  # the second half may have one more
            yield setup.on_device(train), setup.on_device(valid)
            bar.update()

    with bar:
        for epoch in todo:
            start = time.perf_counter()
            loss, accuracy = bilevel.epoch(epoch, pairs(epoch))
            row = {"epoch": epoch + 1, "seconds": 0.0, "learning_rate": training.rate(epoch), "train_loss": loss,
                   "train_accuracy": accuracy, **_measured(setup, bilevel, held_out)}  # fmt: skip
            history.append(row | {"seconds": time.perf_counter() - start})
            for place in (*keep.get(epoch + 1, ()), path):  # path last: an interrupt before it repeats the epoch
                save(place, {"settings": settings, "history": history}, bilevel)
            write_csv(pd.DataFrame(history), path.with_suffix(".csv"))
            skip = f", skip {100 * row['skip_weight']:.0f} %" if np.isfinite(row["skip_weight"]) else ""
            bar.set_postfix_str(f"valid {row['valid_accuracy']:.1f} %{skip}")


def _to_keep(setup: Setup, seed: int, path: Path, done: int) -> dict[int, tuple[Path]]:
    """Return where the epochs of --supernet-keep that are not there yet go. UserError for one that has passed, and for
    one that is there of other settings."""
    missing = {}
    for epoch in setup.config.kept_epochs:
        place = path.parent / f"epoch{epoch}" / path.name
        if place.exists():
            read(place, setup, seed)
        elif epoch <= done:
            passed = f"{path} has {done} epochs and {place.parent} was not kept"
            raise UserError(f"--supernet-keep {epoch}: {passed}; leave it out, or give another --out")
        else:
            missing[epoch] = (place,)
    return missing


def _measured(setup: Setup, bilevel: Bilevel, held_out: list[Minibatch]) -> dict[str, Any]:
    """Return what the history records of a supernet besides its training."""
    mask = bilevel.alphas.detach().softmax(-1)
    loss, accuracy = evaluate(bilevel.network, mask[None], held_out, setup.config.statistics)
    mask, skip = mask.cpu(), bilevel.network.skip
    operations = mask.argmax(1).numpy()
    judged = judge_choice(setup.benchmark, setup.accuracy, operations)
    names = [f"{edge} {operation}" for edge in setup.choices.edges for operation in setup.choices.operations]
    return {
        "valid_loss": loss.item(), "valid_accuracy": accuracy.item(),
        "skip_weight": float("nan") if skip is None else mask[:, skip].mean().item(),
        "skip_edges": float("nan") if skip is None else int((operations == skip).sum()),
        "operations": setup.choices.said(operations), "accuracy": judged.accuracy, "rank": judged.rank,
        **dict(zip(names, mask.flatten().tolist(), strict=True)),
    }  # fmt: skip


def notes_of(setup: Setup) -> list[str]:
    """Return what a reader has to know of trained supernets, a line each."""
    training = setup.training
    how = (
        f"{training.epochs} epochs of {'first' if training.order == 1 else 'second'}-order DARTS, minibatches of"
        f" {training.batch_size}, learning rate {training.learning_rate:g}"
        + f", {training.images:,} images" * bool(training.images) + ", random flip and crop" * training.augment
    )  # fmt: skip
    how = f"from {setup.config.supernet}" if setup.config.supernet else how
    statistics = "the minibatch's statistics" if setup.config.statistics == "batch" else "running statistics"
    return [f"trained supernets: {how}; evaluated on at most {setup.config.held_out} minibatches of the second half,"
            f" BatchNorm with {statistics}"]  # fmt: skip


def degeneration(history: pd.DataFrame) -> str:
    """Return in a line the accuracy of the cell of the largest parameters over the epochs, and the share of skips."""
    last, best = history.iloc[-1], history["accuracy"].max()
    said = f"after {len(history)} epochs {last['valid_accuracy']:.1f} % on held-out images"
    if np.isfinite(last["skip_weight"]):
        said += f", skip connections {100 * last['skip_weight']:.0f} % and largest on {last['skip_edges']:.0f} edges"
    if np.isfinite(best):
        said += f"; the cell of the largest parameters {last['accuracy']:.2f} %, best over epochs {best:.2f} %"
    return said
