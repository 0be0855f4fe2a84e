"""`python -m benchmarks.convert FILE`: an official file, or a CSV, becomes our table, once; it then opens at once."""

from __future__ import annotations

import argparse
import contextlib
import errno
import fnmatch
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UserError
from benchmarks.readers.recognise import KINDS, read, recognise
from benchmarks.registry import known, sources_of, space_of
from benchmarks.table import save_tables

if TYPE_CHECKING:
    from benchmarks.table import Table


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
    path = Path(path)
    bench = bench or _bench_of(path)
    space = space_of(bench)
    kind = recognise(path)
    out = Path(out) if out is not None else path.parent / f"nasbench{bench}.h5"
    _check_target(out, replace)
    tables = read(path, kind, space, complete=not partial, on_progress=on_progress)
    save_tables(out, tables)
    return out, tables


def _bench_of(path: Path) -> str:
    """Return the benchmark that a file's name says; another package's that is broken says nothing."""
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
