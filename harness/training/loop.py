"""Ground truth trained stack by stack, in worker processes, into a folder that can be continued."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from benchmarks.benchmark import space_of
from benchmarks.errors import UserError, listed, quiet, say
from benchmarks.readers.csv_file import ARCH_NAMES, opened
from benchmarks.spaces.space import Space
from harness.engine.devices import single
from harness.engine.processes import one_thread, work
from harness.inputs.draw import load_images
from harness.inputs.images import Images
from harness.training.recipe import Recipe, check, network_of
from harness.training.splits import load_splits
from harness.training.stack import train_stack, try_out
from harness.training.work import Job, claim, finish, keep, missing


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


def read_archs(path: Path) -> list[str]:
    """Return the architectures of a CSV file with a column `arch`; UserError where there is none."""
    with opened(path, "a column arch") as (names, lines):
        if ARCH_NAMES[0] not in names:
            raise UserError(f"{path} has the columns {listed(names)}; expected one called {ARCH_NAMES[0]}")
        return list(dict.fromkeys(line[names.index(ARCH_NAMES[0])] for line in lines))


def train(
    out: Path, recipe: Recipe, *, sample: int, seeds: int, stack: int = 32, workers: int = 2,
    folder: Path | None = None, device: str = "cpu", archs: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Train `sample` distinct architectures, or `archs`, with each of `seeds` seeds; return the path of the finished
    table.

    `out` is the folder of the work: repeating the call continues it, a larger sample or more seeds extend it; another
    recipe in it is refused. `folder` holds the data. Raises UserError for settings and folders that cannot be used.
    """
    space = space_of(recipe.bench)
    recipe = replace(recipe, network=network_of(space, recipe.network))
    check(recipe, {"sample": sample, "seeds": seeds, "stack": stack, "workers": workers})
    device = single(device)
    images = load_images(recipe.dataset, folder)
    load_splits(images, recipe)
    space = space.over(archs) if archs else space.whole()
    strings = {arch: space.canonical(space.locate(arch)) for arch in archs} or plan(space, sample)
    networks: dict[str, str] = {}
    for arch, name in strings.items():
        networks.setdefault(name, arch)
    try_out(space, next(iter(strings)), recipe, images)
    settings = asdict(recipe) | {"stack": stack, "images": images.checksum}  # a folder holds the work of one such
    claim(out, settings)
    jobs = [
        Job(path, tuple(networks[name] for name in names), tuple(names), recipe, seed, folder, images.checksum, device)
        for path, names, seed in missing(out, networks, seeds, stack)
    ]
    say(f"training {len(networks)} architectures x {seeds} seeds into {out}; {len(jobs)} stacks to go")
    with one_thread():
        done = work(_work, jobs, workers) if workers > 1 and len(jobs) > 1 else map(_work, jobs)
        for _ in tqdm(done, total=len(jobs), unit="stack", disable=quiet() or not jobs):
            pass
    return finish(out, recipe, strings, seeds, settings, images)


def _work(job: Job) -> Path:
    """Train one stack and commit its accuracies."""
    space = space_of(job.recipe.bench, job.archs)
    images = _images(job.recipe.dataset, job.folder, job.images)
    keep(job.path, job.names, train_stack(space, job.archs, job.names, job.recipe, job.seed, images, job.device))
    return job.path


@lru_cache(maxsize=1)
def _images(dataset: str, folder: Path | None, checksum: str) -> Images:
    """Return the images, read once in each process; UserError where they are no longer those of the recipe."""
    images = load_images(dataset, folder)
    if images.checksum != checksum:
        raise UserError(f"{images.source}: changed since the training began; start again with another --out")
    return images
