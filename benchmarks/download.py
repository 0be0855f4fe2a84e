"""`python -m benchmarks.download NAME ...`: official files with a stable public address, into the data folder."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import signal
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from benchmarks.errors import UserError, suggest
from benchmarks.files.fetch import Progress, check_space, digests, fetch
from benchmarks.files.sources import IMAGES, VARIABLE, Source, data_folder, readable_size
from benchmarks.registry import known, sources_of


def all_sources() -> dict[str, Source]:
    """Return name -> file, of every benchmark and the images; another package's that is broken has none."""
    found: dict[str, Source] = {}
    for bench in known():
        with contextlib.suppress(UserError):
            found |= {source.key: source for source in sources_of(bench)}
    return found | {source.key: source for source in IMAGES}


def download(source: Source, folder: Path, on_progress: Progress | None = None) -> str:
    """Bring a file into the folder, unpacked where it is one; return one line that says what came.

    Raises UserError. What came of an unfinished download stays beside it, for the next call to continue.
    """
    target = folder / source.key
    if target.exists():
        return f"{target} is there already; delete it to get it again"
    if source.url is None:
        raise UserError(f"{source.name} has no stable public address; get it by {source.page} and put it into {folder}")
    if not source.name.endswith("/"):
        digest = fetch(source.url, target, source.checksum, on_progress)
        return f"wrote {target} ({readable_size(target.stat().st_size)}), {_verdict(source, digest)}"
    archive = folder / PurePosixPath(source.url).name
    kept = _kept(archive, source.checksum)
    check_space(folder, (source.size or 0) * (1 if kept else 2), source.key)
    digest = kept or fetch(source.url, archive, source.checksum, on_progress)
    unpack(archive, target)
    archive.unlink()
    return f"wrote {target}, {_verdict(source, digest)}"


def _kept(archive: Path, checksum: str | None) -> str | None:
    """Return the sha256 of an archive that is there complete, because unpacking was stopped; otherwise None."""
    found = digests(archive) if checksum and archive.is_file() else {}
    return found["sha256"] if checksum in {f"{kind}:{digest}" for kind, digest in found.items()} else None


def _verdict(source: Source, digest: str) -> str:
    return "checksum as expected" if source.checksum else f"checksum not known; its sha256 is {digest}"


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar archive of one folder as `target`, which appears complete or not at all.

    Everything has to be a plain file or folder inside the folder `target.name`: UserError otherwise, or where the
    archive is broken or the disk has no room for it.
    """
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as aside:
        try:
            with tarfile.open(archive) as content:
                needed = 0
                for member in content:
                    needed += member.size
                    _check_member(member, archive, target.name)
                    check_space(target.parent, needed, str(archive))
                content.extractall(aside, filter="data")
            os.replace(Path(aside) / target.name, target)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            why = str(error).partition("\n")[0]
            raise UserError(f"{archive}: a damaged archive ({why}); delete it and get it again") from None
        except FileNotFoundError:
            raise UserError(f"{archive}: holds no folder {target.name}; delete it and get it again") from None
        except OSError as error:
            raise UserError(f"cannot unpack {archive} ({error.strerror or error}); nothing was written") from None


def _check_member(member: tarfile.TarInfo, archive: Path, top: str) -> None:
    """Raise UserError for a member that is no plain file or folder inside the folder `top`."""
    path = PurePosixPath(member.name)
    if not (member.isfile() or member.isdir()):
        raise UserError(f"{archive}: refused, as '{member.name}' is a link or a device")
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != (top,):
        raise UserError(f"{archive}: refused, as '{member.name}' does not lie in the folder {top}")


def listing(folder: Path | None) -> str:
    """Return what can be had, a line each: name, size, checksum, address."""
    lines = []
    for source in all_sources().values():
        there = "there" if folder and (folder / source.key).exists() else readable_size(source.size)
        address = source.url or f"not downloaded by this command; see {source.page}"
        checksum = f", {source.checksum}" if source.checksum else ", checksum not known" if source.url else ""
        lines.append(f"{source.key:<30} {there}{checksum}\n{'':<30} {address}")
    return "\n".join(lines)


@contextlib.contextmanager
def _progress_bar(name: str, quiet: bool) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, disable=quiet, leave=False) as bar:

        def show(done: int, total: int | None) -> None:
            if bar.total is None and total is not None:
                bar.reset(total)
                bar.initial = bar.n = bar.last_print_n = done  # what was there already counts for no speed
            bar.update(done - bar.n)

        yield show


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for what cannot be had, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.download", description=__doc__.split(": ", 1)[1])
    parser.add_argument("names", metavar="NAME", nargs="*", help="files and folders, as --list names them")
    parser.add_argument("--data", metavar="DIR", help=f"data folder (default: the environment variable {VARIABLE})")
    parser.add_argument("--list", action="store_true", help="say what can be had, and end")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    told = parser.parse_args(arguments)
    try:
        if told.list or not told.names:
            print(listing(data_folder(told.data)))
            return 0
        sources, names = all_sources(), [name.rstrip("/") for name in told.names]
        if unknown := [name for name in names if name not in sources]:
            raise suggest(unknown, sources, "file")
        folder = data_folder(told.data, make=True)
        if folder is None:
            raise UserError(f"where to? name a folder with --data DIR or in the variable {VARIABLE}")
        for name in dict.fromkeys(names):
            with _progress_bar(name, told.quiet) as show:
                said = download(sources[name], folder, show)
            print(said)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what came is kept: repeat the command to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's stop is treated as Ctrl-C
    sys.exit(main())
