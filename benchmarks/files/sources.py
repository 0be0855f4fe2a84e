"""Where ground truth and images are looked for, and where each official file comes from.

Everything lies in one data folder: `--data DIR`, otherwise the environment variable NAS_HARNESS_DATA, otherwise the
user's cache, once `nas-harness data get` put something there. A benchmark opens from our own table (`nasbench201.h5`),
a CSV (`nasbench201.csv`) or a small published file; large official files are converted once.
"""

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError

VARIABLE = "NAS_HARNESS_DATA"
CACHE_VARIABLE = "NAS_HARNESS_CACHE"
DATA_HELP = f"data folder (default: the environment variable {VARIABLE}, otherwise the user's cache)"
GB, MB = 10**9, 10**6


@dataclass(frozen=True)
class Source:
    """One official file or folder that may lie in the data folder."""

    name: str
    """File name, a pattern where releases differ; a trailing "/" marks a folder."""
    about: str
    """What it is, a few words."""
    size: int | None = None
    """Approximate bytes; None where not known."""
    page: str | None = None
    """Public page that says where to get it."""
    url: str | None = None
    """Stable public address of the file, or of the folder's .tar.gz, for `python -m benchmarks.download`."""
    checksum: str | None = None
    """"md5:..." or "sha256:..." of what lies at `url`, hexadecimal; None where not known."""
    direct: bool = False
    """A file so small that it is read as it is; others are converted once (`python -m benchmarks.convert`)."""
    group: str = ""
    """Name that `nas-harness data get` takes for this and other small files together; empty where it has none."""
    licence: str = "none stated"
    """Licence that its authors give."""
    parts: tuple[tuple[str, str], ...] = ()
    """(file, checksum) of each file of a folder, where `url` ends in "/" and has them one by one."""

    @property
    def key(self) -> str:
        """Name on the command line."""
        return self.name.rstrip("/")


def on_github(
    name: str, about: str, size: int, repository: str, commit: str, path: str, checksum: str | None, group: str,
    licence: str = "none stated", parts: tuple[tuple[str, str], ...] = (), direct: bool = True,
) -> Source:  # fmt: skip
    """Return a small file, or a folder of them, at a fixed revision of a repository."""
    page, url = f"https://github.com/{repository}", f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
    check = checksum and f"sha256:{checksum}"
    return Source(name, about, size, page, url, check, direct, group, licence, parts)


@dataclass(frozen=True)
class TargetFile:
    """A file of the data folder whose columns scores may be compared with, `--target GROUP:COLUMN`."""

    group: str
    """Name on the command line."""
    files: tuple[str, ...]
    """Where it may lie in the data folder, the first that is there counts; `{dataset}` where each data set has one."""
    about: str
    """What the columns are, a few words."""
    kinds: tuple[tuple[str, str, str], ...]
    """(pattern of a column's name, its unit, which values are better: larger or smaller); the first that fits."""
    short: tuple[tuple[str, str], ...] = ()
    """(pattern, what it is replaced by) for names of columns as the file has them."""
    sources: tuple[Source, ...] = ()
    """Where to get it."""

    def kind_of(self, column: str) -> tuple[str, str]:
        """Return the unit of a column and which of its values are better."""
        return next((unit, better) for pattern, unit, better in self.kinds if re.search(pattern, column))


CIFAR = "https://www.cs.toronto.edu/~kriz"
# The addresses and checksums are those the CIFAR page publishes; written without a network, so not tried out.
IMAGES = (
    Source(
        "cifar-10-batches-py/", "CIFAR-10, Python version", 186 * MB, f"{CIFAR}/cifar.html",
        f"{CIFAR}/cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a", group="images",
    ),
    Source(
        "cifar-100-python/", "CIFAR-100, Python version", 186 * MB, f"{CIFAR}/cifar.html",
        f"{CIFAR}/cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85",
    ),
    Source("ImageNet16/", "ImageNet16-120, as batches", page="https://github.com/D-X-Y/NAS-Bench-201"),
)  # fmt: skip
"""Images; the files of a benchmark are its space's `sources`."""


def cache_folder() -> Path:
    """Return the folder of the user's cache: NAS_HARNESS_CACHE, otherwise nas-proxy-harness where caches are."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "nas-proxy-harness").expanduser()


def data_folder(named: str | Path | None = None, make: bool = False) -> Path | None:
    """Return the data folder: `named`, otherwise the environment variable, otherwise the cache if it is there.

    Raises UserError where the folder that is named does not exist; with `make` it is made, the cache too.
    """
    name = str(named) if named is not None else os.environ.get(VARIABLE)
    folder = Path(name).expanduser() if name else cache_folder()
    if make:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {folder} ({error.strerror}); name another with --data") from None
    if not name:
        return folder if folder.is_dir() else None
    if not folder.is_dir():
        by = "--data" if named is not None else f"the environment variable {VARIABLE}"
        raise UserError(f"no folder '{name}' (named by {by}); it should hold ground truth and images")
    return folder


def matches(source: Source, folder: Path) -> Iterator[Path]:
    """Yield what lies in `folder` under the source's name."""
    for path in sorted(folder.iterdir()):
        if fnmatch.fnmatch(path.name, source.key) and (path.is_dir() if source.name.endswith("/") else path.is_file()):
            yield path


def readable_size(n_bytes: int | None) -> str:
    """Return a size as people write it."""
    if n_bytes is None:
        return "size not known"
    for unit, size in (("GB", GB), ("MB", MB), ("kB", 1000)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"
