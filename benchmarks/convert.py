"""`python -m benchmarks.convert FILE`: an official file, or a CSV, becomes our table, once; it then opens at once."""

from __future__ import annotations

import argparse
import contextlib
import errno
import fnmatch
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import known
from benchmarks.errors import UserError

if TYPE_CHECKING:
    from benchmarks.table import Table

KINDS = (
    "NAS-Bench-201-v1_0-*.pth, NAS-Bench-201-v1_1-*.pth, NATS-tss-v1_0-*.pickle.pbz2, a NATS-tss-v1_0-*-simple folder, "
    "nasbench_only108.tfrecord, nasbench_full.tfrecord, an .npz of NAS-Bench-101 cells, nas-bench-macro_cifar10.json, "
    "or a .csv"
)
NAMES = {
    "csv": "a CSV", "pickle": "a pickle or archive", "json": "a JSON file", "tfrecord": "a TFRecord file",
    "npz": "a NumPy archive",
}  # fmt: skip
"""Kind of file -> what it is called."""


def recognise(path: Path) -> str:
    """Return what a file or folder is by its content, a key of NAMES. UserError for every other kind."""
    if path.is_dir():
        if (path / "meta.pickle.pbz2").is_file():
            return "pickle"
        raise UserError(f"{path}: a folder without meta.pickle.pbz2; expected {KINDS}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected {KINDS}")
    with open(path, "rb") as file:
        start = file.read(1 << 12)
    if not start:
        raise UserError(f"{path}: an empty file; get it again")
    from benchmarks.tfrecord import starts_record

    if start[257:262] == b"ustar":
        raise UserError(f"{path}: a tar archive; unpack it first (tar -xf {path.name}) and give the folder")
    if start.startswith(b"\x89HDF"):
        raise UserError(
            f"{path}: an HDF5 file already; if it is a table of ours, use it as it is: --data {path.parent}"
        )
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


def convert(
    path: str | Path,
    out: str | Path | None = None,
    bench: str | None = None,
    partial: bool = False,
    replace: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, list[Table]]:
    """Read ground truth and write it as a table file; return where, and the tables.

    `bench` None is what the file's name says, otherwise 201. `out` None is `nasbench<bench>.h5` beside the file.
    `partial` accepts a file that lacks architectures of the space. An existing table is kept unless `replace`. The file
    appears complete or not at all. Raises UserError.
    """
    from benchmarks import space_of  # these take a moment to import, and --help should not
    from benchmarks.table import save_tables

    path = Path(path)
    bench = bench or _bench_of(path)
    space = space_of(bench)
    kind = recognise(path)
    out = Path(out) if out is not None else path.parent / f"nasbench{bench}.h5"
    _check_target(out, replace)
    tables = read(path, kind, space, complete=not partial, on_progress=on_progress)
    save_tables(out, tables)
    return out, tables


def read(
    path: Path, kind: str, space: Any, complete: bool = True, on_progress: Callable[[int, int], None] | None = None
) -> list[Table]:
    """Return the tables in a file of a known kind, one per dataset: a CSV, or what the space names a reader for."""
    from benchmarks import named_object
    from benchmarks.csv_table import read_csv

    if kind == "csv":
        return read_csv(path, space.name, space.expected, complete=complete)
    if kind not in space.readers:
        what = f"{NAMES[kind]}, which is no form of {space.title}"
        raise UserError(f"{path}: {what}; this version converts {KINDS}")
    return named_object(space.readers[kind])(path, space.expected, complete=complete, on_progress=on_progress)


def _bench_of(path: Path) -> str:
    """Return the benchmark that a file's name says; another package's that is broken says nothing."""
    from benchmarks.sources import sources_of

    for bench in known():
        with contextlib.suppress(UserError):
            names = (f"nasbench{bench}[._]*", *(source.key for source in sources_of(bench)))
            if any(fnmatch.fnmatch(path.name, name) for name in names):
                return bench
    return "201"


def _check_target(out: Path, replace: bool) -> None:
    """Raise UserError where the table could not be written, before minutes are spent on reading."""
    if out.is_dir():
        raise UserError(f"--out {out} is a folder; name the file, such as {out / 'nasbench201.h5'}")
    if out.exists() and not replace:
        raise UserError(f"{out} is there already; give --replace to write it again, or another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if (
            not out.parent.stat().st_mode & 0o222
        ):  # root could write all the same, but it is marked as not to be changed
            raise PermissionError(errno.EACCES, "the folder is read-only")
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {out.parent} ({error.strerror}); name another place with --out") from None


@contextlib.contextmanager
def _progress_bar(name: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, disable=quiet, leave=False) as bar:

        def show(done: int, total: int) -> None:
            if bar.total != total:
                bar.total = total
                bar.unit = "B" if total > 1 << 20 else ""
            bar.update(max(0, done - bar.n))

        yield show


def _summary(out: Path, tables: Sequence[Table]) -> str:
    lines = [f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB, {len(tables[0]):,} architectures)"]
    for table in tables:
        epochs = ", ".join(str(budget) for budget in table.epochs)
        lines.append(
            f"  {table.dataset}: splits {', '.join(table.splits)}; epochs {epochs}; seeds {', '.join(table.seeds)}"
        )
    if out.name == f"nasbench{tables[0].benchmark}.h5":
        lines.append(f"use it: python -m harness.run --bench {tables[0].benchmark} --data {out.parent}")
    else:
        lines.append(f"to use it, put it into the data folder as nasbench{tables[0].benchmark}.h5")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for input that cannot be used, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.convert",
        description="Turn an official file, or a CSV, into a table that opens in a moment. Nothing in it is executed.",
    )
    parser.add_argument("file", metavar="FILE", help=KINDS.replace("%", "%%"))
    parser.add_argument("--out", metavar="FILE", help="the table to write (default: nasbench<NAME>.h5 beside FILE)")
    names = ", ".join(known())
    parser.add_argument("--bench", metavar="NAME", help=f"{names} (default: as FILE's name says, or 201)")
    parser.add_argument("--partial", action="store_true", help="accept a file that lacks architectures of the space")
    parser.add_argument("--replace", action="store_true", help="overwrite a table that is there already")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    told = parser.parse_args(arguments)
    try:
        with _progress_bar(Path(told.file).name, told.quiet) as show:
            out, tables = convert(told.file, told.out, told.bench, told.partial, told.replace, show)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot read or write: {error}; nothing was written", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    print(_summary(out, tables))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's stop is treated as Ctrl-C
    sys.exit(main())
