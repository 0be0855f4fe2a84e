"""`python -m benchmarks.convert FILE`: an official file, or a CSV, becomes a table file of this project."""

import contextlib
import errno
import fnmatch
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.benchmark import known, space_of
from benchmarks.errors import Parser, Progress, UserError, carry_out, progress_bar
from benchmarks.readers.recognise import KINDS, read, recognise
from benchmarks.table import Table, save_tables


def convert(
    path: str | Path, out: str | Path | None = None, bench: str | None = None, partial: bool = False,
    replace: bool = False, on_progress: Progress | None = None, fractions: bool = False,
) -> tuple[Path, list[Table]]:  # fmt: skip
    """Read ground truth and write it as a table file; return where, and the tables.

    `bench` None is what the file's name says, otherwise 201. `out` None is `nasbench<bench>.h5` in its folder, for
    a uniform sample its own name.
    `partial` accepts a file that lacks architectures of the space. `fractions`: the accuracies of a CSV are 0 to 1. An
    existing table is kept unless `replace`. The file appears complete or not at all. Raises UserError.
    """
    path = Path(path)
    bench = bench or _bench_of(path)
    space = space_of(bench)
    kind = recognise(path)
    usual = f"{path.stem}.h5" if path.name in space.samples else f"nasbench{bench}.h5"
    out = Path(out) if out is not None else path.parent / usual
    _check_target(out, replace)
    try:
        tables = read(path, kind, space, complete=not partial, on_progress=on_progress, fractions=fractions)
        save_tables(out, tables)
    except OSError as error:
        raise UserError(f"cannot read or write: {error}; nothing was written") from None
    return out, tables


def _bench_of(path: Path) -> str:
    """Return the benchmark that a file's name says; a broken one of another package is passed over."""
    for bench in known():
        with contextlib.suppress(UserError):
            names = (f"nasbench{bench}[._]*", *(source.key for source in space_of(bench).sources))
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
        if not out.parent.stat().st_mode & 0o222:  # marked as not to be changed, which would not stop root
            raise PermissionError(errno.EACCES, "the folder is read-only")
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {out.parent} ({error.strerror}); name another place with --out") from None


def _summary(out: Path, tables: Sequence[Table]) -> str:
    """Return what was written and how to use it, for people."""
    lines = [f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB, {len(tables[0]):,} architectures)"]
    for table in tables:
        labels = {name: ", ".join(map(str, getattr(table, name))) for name in ("splits", "epochs", "seeds")}
        lines.append(f"  {table.dataset}: " + "; ".join(f"{name} {listed}" for name, listed in labels.items()))
    if out.name in (f"nasbench{tables[0].benchmark}.h5", *space_of(tables[0].benchmark).samples):
        lines.append(f"use it: python -m harness.run --bench {tables[0].benchmark} --data {out.parent}")
    else:
        lines.append(f"to use it, put it into the data folder as nasbench{tables[0].benchmark}.h5")
    return "\n".join(lines)


def parser() -> Parser:
    """Return the command line."""
    line = Parser(
        prog="nas-harness data convert",
        description="Turn an official file, or a CSV, into a table that opens in a moment. Nothing in it is executed.",
    )
    line.add_argument("file", metavar="FILE", type=Path, help=KINDS)
    line.add_argument("--out", metavar="FILE", help="the table to write (default: nasbench<NAME>.h5 next to FILE)")
    names = ", ".join(known())
    line.add_argument("--bench", metavar="NAME", help=f"{names} (default: as FILE's name says, or 201)")
    line.add_argument("--partial", action="store_true", help="accept a file that lacks architectures of the space")
    line.add_argument("--fractions", action="store_true", help="the accuracies of a CSV are 0 to 1, not percent")
    line.add_argument("--replace", action="store_true", help="overwrite a table that is there already")
    line.add_argument("--quiet", action="store_true", help="no progress bar")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for input that cannot be used, 130 when interrupted."""
    options = parser().parse_args(arguments)

    def action() -> None:
        file = options.file
        with progress_bar(file.name, "" if file.is_dir() else "B", options.quiet) as show:
            written = convert(
                file, options.out, options.bench, options.partial, options.replace, show, options.fractions
            )
        print(_summary(*written))

    return carry_out("benchmarks.convert", action, "stopped; nothing was written")


if __name__ == "__main__":
    sys.exit(main())
