"""Where ground truth and images are looked for, and where each official file comes from.

Everything lies in one data folder: `--data DIR`, or the environment variable NAS_HARNESS_DATA. A benchmark opens from
our own table there (`nasbench201.h5`) or from a CSV (`nasbench201.csv`); official files are converted once.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError

VARIABLE = "NAS_HARNESS_DATA"
GB, MB = 10**9, 10**6


@dataclass(frozen=True)
class Source:
    """One file or folder that may lie in the data folder."""

    name: str
    """File name, a pattern where releases differ; a trailing "/" marks a folder."""
    bench: str
    """Key of the benchmark, or "images"."""
    about: str
    """What it is, a few words."""
    size: int | None = None
    """Approximate bytes; None where not known."""
    sha256: str | None = None
    """Checksum, hexadecimal, where the publisher gives one that was verified; otherwise None."""
    page: str | None = None
    """Public page that says where to get it."""
    official: bool = False
    """Has to be converted (`python -m benchmarks.convert`) before it can be used, unless `direct`."""
    direct: bool = False
    """An official file so small that it is read as it is."""


NB201 = "https://github.com/D-X-Y/NAS-Bench-201"
NATS = "https://github.com/D-X-Y/NATS-Bench"
NB101 = "https://github.com/google-research/nasbench"
CIFAR = "https://www.cs.toronto.edu/~kriz/cifar.html"

SOURCES = (
    Source("nasbench201.h5", "201", "our table, from convert", 8 * MB),
    Source("nasbench201.csv", "201", "accuracies as CSV, own or published", 3 * MB),
    Source("NAS-Bench-201-v1_1-*.pth", "201", "official release v1_1", int(4.7 * GB), page=NB201, official=True),
    Source("NAS-Bench-201-v1_0-*.pth", "201", "official release v1_0", int(2.2 * GB), page=NB201, official=True),
    Source("NATS-tss-v1_0-*.pickle.pbz2", "201", "NATS-Bench topology set", page=NATS, official=True),
    Source("NATS-tss-v1_0-*-simple/", "201", "the same, a file each", page=NATS, official=True),
    Source("nasbench_only108.tfrecord", "101", "official, 108 epochs", 499 * MB, page=NB101, official=True),
    Source("nasbench_full.tfrecord", "101", "official, all budgets", int(1.95 * GB), page=NB101, official=True),
    Source(
        "nasbench_only108.tfrecord",
        "1shot1",
        "a view on the 101 file",
        499 * MB,
        page="https://github.com/automl/nasbench-1shot1",
        official=True,
    ),
    Source(
        "nas-bench-macro_cifar10.json",
        "macro",
        "official file",
        int(1.2 * MB),
        page="https://github.com/xiusu/NAS-Bench-Macro",
        official=True,
        direct=True,
    ),
    Source("cifar-10-batches-py/", "images", "CIFAR-10, Python version", 186 * MB, page=CIFAR),
    Source("cifar-100-python/", "images", "CIFAR-100, Python version", 186 * MB, page=CIFAR),
    Source("ImageNet16/", "images", "ImageNet16-120, as batches", page=NB201),
)


def data_folder(named: str | Path | None = None) -> Path | None:
    """Return the data folder: `named`, otherwise the environment variable, otherwise None.

    Raises UserError where the folder that was named is not there.
    """
    told = str(named) if named is not None else os.environ.get(VARIABLE)
    if not told:
        return None
    folder = Path(told).expanduser()
    if not folder.is_dir():
        by = "--data" if named is not None else f"the environment variable {VARIABLE}"
        raise UserError(f"no folder '{told}' (named by {by}); it should hold ground truth and images")
    return folder


def matches(source: Source, folder: Path) -> Iterator[Path]:
    """Yield what lies in `folder` under the source's name."""
    for path in sorted(folder.iterdir()):
        if fnmatch.fnmatch(path.name, source.name.rstrip("/")) and path.is_dir() == source.name.endswith("/"):
            yield path


def find_table(bench: str, folder: Path | None) -> Path | None:
    """Return the table of a benchmark in the data folder: our `.h5`, otherwise a `.csv`, otherwise an official file
    that is read as it is, otherwise None.

    Raises UserError, with the command to type, where only official files lie there.
    """
    if folder is None:
        return None
    for name in (f"nasbench{bench}.h5", f"nasbench{bench}.csv"):
        if (folder / name).is_file():
            return folder / name
    for source in SOURCES:
        if source.bench == bench and source.official:
            for path in matches(source, folder):
                if source.direct:
                    return path
                raise UserError(
                    f"{path.name} is an official file; convert it once: python -m benchmarks.convert {path}"
                )
    return None


def what_to_get(bench: str, folder: Path | None) -> str:
    """Return one line: where was looked for the ground truth of a benchmark, what to get, how large, from where."""
    wanted = [source for source in SOURCES if source.bench == bench and source.official]
    looked = f"in {folder}" if folder else f"nowhere, as neither --data nor {VARIABLE} names a folder"
    choices = " or ".join(f"{source.name} ({readable_size(source.size)}, {source.page})" for source in wanted)
    return f"no ground truth of benchmark {bench} found (looked {looked}); get {choices}"


def readable_size(n_bytes: int | None) -> str:
    """Return a size as people write it."""
    if n_bytes is None:
        return "size not known"
    for unit, size in (("GB", GB), ("MB", MB), ("kB", 1000)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"
