"""`python -m harness.train`: ground truth for one's own data, many architectures trained at once.

K architectures are one stack, so one training loop trains them all; each keeps its own initialisation, BatchNorm
statistics and gradients, while all see the same images in the same order. The recipe is SGD with Nesterov momentum and
a one-cycle learning rate (Smith and Topin, 2018, arXiv 1708.07120).
Finished stacks are committed one by one: repeating the command continues, more seeds or architectures extend the work.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UserError
from harness.command import Parser, carry_out
from harness.training.recipe import Recipe

if TYPE_CHECKING:
    from benchmarks.space import Space
    from harness.inputs import Images
    from harness.training.work import Job

ZERO = {
    "resolution": "side in pixels the images are resized to; 0 (default): as they are",
    "test_images": "0 (default): all that are left",
}
"""Settings whose 0 needs a word."""


def plan(space: Space, networks: int) -> dict[str, str]:
    """Return {architecture: canonical string}: a uniform sample of strings holding the wanted number of networks.

    The plan of a larger number begins with that of a smaller one.
    """
    strings: dict[str, str] = {}
    names: set[str] = set()
    for index in space.sample(len(space), 0):
        name = space.canonical(index)
        if name not in names and len(names) == networks:
            return strings
        names.add(name)
        strings[space.archs[index]] = name
    if len(names) < networks:
        raise UserError(f"sample {networks}: {space.title} has {len(names):,} distinct networks")
    return strings


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
    from harness.inputs import load_images
    from harness.processes import one_thread, work
    from harness.training.recipe import check, load_splits, network_of
    from harness.training.stack import try_out
    from harness.training.work import Job, claim, finish, missing, settings_of

    space = space_of(recipe.bench)
    recipe = replace(recipe, network=network_of(space, recipe.network))
    check(recipe, {"sample": sample, "seeds": seeds, "stack": stack, "workers": workers}, device)
    images = load_images(recipe.dataset, folder)
    load_splits(images, recipe)
    space = space.whole()
    strings = plan(space, sample)
    networks: dict[str, str] = {}
    for arch, name in strings.items():
        networks.setdefault(name, arch)
    try_out(space, next(iter(strings)), recipe, images)
    settings = settings_of(recipe, stack, images)
    claim(out, settings)
    jobs = [
        Job(path, tuple(networks[name] for name in names), tuple(names), recipe, seed, folder, images.checksum, device)
        for path, names, seed in missing(out, networks, seeds, stack)
    ]
    print(f"training {sample} architectures x {seeds} seeds into {out}; {len(jobs)} stacks to go", file=sys.stderr)
    with one_thread():
        done = work(_work, jobs, workers) if workers > 1 and len(jobs) > 1 else map(_work, jobs)
        for _ in tqdm(done, total=len(jobs), unit="stack", disable=not jobs):
            pass
    return finish(out, recipe, strings, seeds, settings, images)


def _work(job: Job) -> Path:
    """Train one stack and commit its accuracies."""
    from benchmarks import space_of
    from harness.training import stack
    from harness.training.work import keep

    space = space_of(job.recipe.bench, job.archs)
    images = _images(job.recipe.dataset, job.folder, job.images)
    keep(job.path, job.names, stack.train_stack(space, job.archs, job.names, job.recipe, job.seed, images, job.device))
    return job.path


@lru_cache(maxsize=1)
def _images(dataset: str, folder: Path | None, checksum: str) -> Images:
    """Return the images, read once in each process; UserError where they are no longer those of the recipe."""
    from harness.inputs import load_images

    images = load_images(dataset, folder)
    if images.checksum != checksum:
        raise UserError(f"{images.source}: changed since the training began; start anew with another --out")
    return images


def settings_from(text: str) -> dict[str, int]:
    """Return {name: number} of `channels=8,modules=1`."""
    try:
        return {name.strip(): int(value) for name, value in (each.split("=") for each in text.split(",") if each)}
    except ValueError:
        raise UserError(f"--network {text}: expected whole numbers by name, like channels=8,modules=1") from None


def main(argv: list[str] | None = None) -> int:
    """Read the command line; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    parser = Parser(prog="python -m harness.train", description=__doc__.split("\n\n")[0])
    defaults = {name: value for name, value in asdict(Recipe()).items() if name != "network"}
    for name, value in defaults.items():
        said = ZERO.get(name, f"default {value}")
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=said)
    parser.add_argument(
        "--network", default="", help="such as channels=8,modules=1 (default: the space's reduced ones)"
    )
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

        recipe = Recipe(**{name: given[name] for name in defaults}, network=settings_from(given["network"]))
        options = {name: given[name] for name in ("sample", "seeds", "stack", "workers", "device")}
        print(f"wrote {train(given['out'], recipe, folder=data_folder(given['data']), **options)}")

    stopped = f"stopped; finished stacks are kept in {given['out']}: repeat the command to continue"
    return carry_out("harness.train", action, stopped)


if __name__ == "__main__":
    from harness.train import main as importable  # what worker processes are sent has to have a module's name

    sys.exit(importable())
