"""What an official file is, by its content, and its tables by the reader of that kind."""

import fnmatch
import re
from pathlib import Path
from pkgutil import resolve_name

from benchmarks.errors import Progress, UserError
from benchmarks.readers.csv_table import read_csv
from benchmarks.readers.foreign import existing, refusing
from benchmarks.readers.tfrecord import starts_record
from benchmarks.spaces.space import Space
from benchmarks.table import Table

KINDS = (
    "NAS-Bench-201-v1_0-*.pth, NAS-Bench-201-v1_1-*.pth, NATS-tss-v1_0-*.pickle.pbz2, a NATS-tss-v1_0-*-simple folder, "
    "NATS-sss-v1_0-*.pickle.pbz2, a NATS-sss-v1_0-*-simple folder, "
    "nasbench_only108.tfrecord, nasbench_full.tfrecord, an .npz of NAS-Bench-101 cells, nas-bench-macro_cifar10.json, "
    "or a .csv"
)
NAMES = {
    "csv": "a CSV", "pickle": "a pickle or archive", "json": "a JSON file", "tfrecord": "a TFRecord file",
    "npz": "a NumPy archive",
}  # fmt: skip
"""Kind of file -> what it is called."""


WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<?xml")


def recognise(path: Path) -> str:
    """Return what a file or folder is by its content, a key of NAMES. UserError for every other kind."""
    if path.is_dir():
        if (path / "meta.pickle.pbz2").is_file():
            return "pickle"
        raise UserError(f"{path}: a folder without meta.pickle.pbz2; expected {KINDS}")
    with (
        refusing(path, "a file that can be read", "look at its permissions"),
        open(existing(path, KINDS), "rb") as file,
    ):
        start = file.read(1 << 12)
    if not start:
        raise UserError(f"{path}: an empty file; get it again")
    if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:14].lower().startswith(WEB_PAGE):
        raise UserError(f"{path}: a web page, not the file it should be; download the file itself")
    if start[257:262] == b"ustar":
        raise UserError(f"{path}: a tar archive; unpack it first (tar -xf {path.name}) and give the folder")
    if start.startswith(b"\x89HDF"):
        raise UserError(f"{path}: an HDF5 file already; use a table of ours as it is: --data {path.parent}")
    if start.startswith(b"PK\x03\x04") and re.match(rb"\w+\.npy", start[30:]):  # the name of the first file in it
        return "npz"
    if starts_record(start):
        return "tfrecord"
    if start.startswith((b"\x80", b"PK\x03\x04", b"BZh", b"\x1f\x8b")):
        return "pickle"
    if start.lstrip()[:1] in (b"{", b"["):
        return "json"
    if b"\0" in start:
        raise UserError(f"{path}: not a known kind of file; this version converts {KINDS}")
    return "csv"


def read(
    path: Path, kind: str, space: Space, complete: bool = True, on_progress: Progress | None = None,
    fractions: bool = False,
) -> list[Table]:  # fmt: skip
    """Return the tables in a file of a known kind, one per dataset; the space names readers of official files.

    `fractions`: the accuracies of a CSV are 0 to 1.
    """
    official = kind in space.readers and any(fnmatch.fnmatch(path.name, source.key) for source in space.sources)
    if kind == "csv" and not official:
        classes = {name: count for name, (count, _) in space.datasets.items() if count}
        return read_csv(
            path, space.name, space.expected, complete, fractions=fractions, printed=space.printed, classes=classes
        )
    if fractions:
        raise UserError(f"{path}: --fractions is for a CSV; official files say themselves what their accuracies are")
    if kind not in space.readers:
        what = f"{NAMES[kind]}, which is no form of {space.title}"
        raise UserError(f"{path}: {what}; this version converts {KINDS}")
    return resolve_name(space.readers[kind])(path, space.expected, complete=complete, on_progress=on_progress)
