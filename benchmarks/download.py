"""`python -m benchmarks.download NAME ...`: official files with a stable public address, into the data folder."""

import contextlib
import gzip
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from benchmarks.benchmark import known, space_of
from benchmarks.errors import Parser, Progress, UserError, carry_out, progress_bar, suggest
from benchmarks.files.fetch import check_room, fetch, has_checksum
from benchmarks.files.sources import DATA_HELP, IMAGES, VARIABLE, Source, data_folder, readable_size
from benchmarks.files.write import digest


def all_sources() -> dict[str, Source]:
    """Return name -> file, of every benchmark and the images; a broken benchmark of another package has none."""
    found: dict[str, Source] = {}
    for bench in known():
        with contextlib.suppress(UserError):
            found |= {source.key: source for source in space_of(bench).sources}
    return found | {source.key: source for source in IMAGES}


def download(source: Source, folder: Path, on_progress: Progress | None = None) -> str:
    """Download a file into the folder, unpacked where the source is a folder; return one line for people.

    Raises UserError. What was received of an unfinished download is kept next to it, for the next call to continue.
    """
    target = folder / source.key
    if target.exists():
        return f"{target} is there already; delete it to get it again"
    if source.url is None:
        raise UserError(f"{source.name} has no stable public address; get it by {source.page} and put it into {folder}")
    archive = folder / PurePosixPath(source.url).name if source.name.endswith("/") else target
    kept = archive.is_file() and has_checksum(archive, source.checksum)  # unpacking was stopped
    if archive != target:
        check_room(folder, (source.size or 0) * (1 if kept else 2), source.key)
    if not kept:
        fetch(source.url, archive, source.checksum, on_progress)
    verdict = "checksum as expected" if source.checksum else f"checksum not known; its sha256 is {digest(archive)}"
    if archive == target:
        return f"wrote {target} ({readable_size(target.stat().st_size)}), {verdict}"
    unpack(archive, target)
    archive.unlink()
    return f"wrote {target}, {verdict}"


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
                    check_room(target.parent, needed, str(archive))
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
    """Return what can be downloaded: name, size, checksum, address of each file."""
    lines = []
    for source in all_sources().values():
        there = "there" if folder and (folder / source.key).exists() else readable_size(source.size)
        address = source.url or f"not downloaded by this command; see {source.page}"
        checksum = f", {source.checksum}" if source.checksum else ", checksum not known" if source.url else ""
        lines.append(f"{source.key:<30} {there}{checksum}\n{'':<30} {address}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for what cannot be downloaded, 130 when interrupted."""
    line = Parser(prog="python -m benchmarks.download", description=(__doc__ or "").split(": ", 1)[1])
    line.add_argument("names", metavar="NAME", nargs="*", help="files and folders, as --list names them")
    line.add_argument("--data", metavar="DIR", help=DATA_HELP)
    line.add_argument("--list", action="store_true", help="list what can be downloaded, and end")
    line.add_argument("--quiet", action="store_true", help="no progress bar")
    options = line.parse_args(arguments)

    def action() -> None:
        if options.list or not options.names:
            print(listing(data_folder(options.data)))
            return
        sources, names = all_sources(), [name.rstrip("/") for name in options.names]
        if unknown := [name for name in names if name not in sources]:
            raise suggest(unknown, sources, "file")
        folder = data_folder(options.data, make=True)
        if folder is None:
            raise UserError(f"where to? name a folder with --data DIR or in the variable {VARIABLE}")
        for name in dict.fromkeys(names):
            with progress_bar(name, hidden=options.quiet) as show:
                line = download(sources[name], folder, show)
            print(line)

    stopped = "stopped; what was received is kept: repeat the command to continue"
    return carry_out("benchmarks.download", action, stopped)


if __name__ == "__main__":
    sys.exit(main())
