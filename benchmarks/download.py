"""`nas-harness data get NAME ...`: files with a stable public address, into the data folder; checked, continued.

A NAME is a group of small files (201, macro, robustness, images, ...) or a file; `python -m benchmarks.download` is
the same. Proxies are those of the environment (https_proxy and the like).
"""

import contextlib
import gzip
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from benchmarks.benchmark import known, space_of
from benchmarks.errors import Parser, Progress, UserError, carry_out, progress_bar, suggest
from benchmarks.files.fetch import NoConnectionError, check_room, fetch, has_checksum
from benchmarks.files.sources import DATA_HELP, IMAGES, Source, data_folder, readable_size
from benchmarks.files.write import digest


def all_sources() -> dict[str, Source]:
    """Return name -> file, of every benchmark, its targets and the images; a broken benchmark of another package has
    none."""
    found: dict[str, Source] = {}
    for bench in known():
        with contextlib.suppress(UserError):
            space = space_of(bench)
            each = (*space.sources, *(source for target in space.targets for source in target.sources))
            found |= {source.key: source for source in each}
    return found | {source.key: source for source in IMAGES}


def groups(sources: Iterable[Source]) -> dict[str, list[Source]]:
    """Return name -> its small files, in their order."""
    found: dict[str, list[Source]] = {}
    for source in sources:
        if source.group and source.url:
            found.setdefault(source.group, []).append(source)
    return found


def download(source: Source, folder: Path, on_progress: Progress | None = None) -> str:
    """Download a file into the folder, unpacked where the source is a folder; return one line for people.

    Raises UserError. What was received of an unfinished download is kept next to it, for the next call to continue.
    """
    target = folder / source.key
    lacking = [each for each in source.parts if not (target / each[0]).is_file()]
    if target.exists() and not lacking:
        return f"{target} is there already; delete it to get it again"
    if source.url is None:
        raise UserError(f"{source.name} has no stable public address; get it by {source.page} and put it into {folder}")
    if lacking:
        return _download_parts(source, lacking, target, on_progress)
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


def _download_parts(
    source: Source, lacking: Sequence[tuple[str, str]], target: Path, on_progress: Progress | None
) -> str:
    """Download the files of a folder that are not there yet."""
    target.mkdir(exist_ok=True)
    for done, (name, checksum) in enumerate(lacking, start=1):
        fetch(f"{source.url}{name}", target / name, checksum)
        if on_progress is not None:
            on_progress(done, len(lacking))
    return f"wrote {target} ({len(lacking)} files), checksums as expected"


def without_network(sources: Iterable[Source], folder: Path) -> str:
    """Return what to put where by hand: all that the folder lacks."""
    said = []
    for source in sources:
        if source.parts:
            said.append(f"the {len(source.parts)} files of {source.url} into {folder / source.key}")
        elif not (folder / source.key).exists():
            unpacked = ", unpacked," if source.name.endswith("/") else ""
            said.append(f"{source.url}{unpacked} into {folder}")
    return f"Without one, get by another machine {'; '.join(said)}"


def origin(source: Source) -> str:
    """Return one line: what a file is, where it comes from and under what licence."""
    return f"{source.key}: {source.about}; {source.page}; licence: {source.licence}"


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
    """Return what can be downloaded: the groups of small files; name, size, checksum, address of each file."""
    sources = all_sources()
    lines = []
    for name, members in groups(sources.values()).items():
        size = readable_size(sum(source.size or 0 for source in members))
        lines.append(f"{name:<30} {size}: {', '.join(source.key for source in members)}")
    lines.append("")
    for source in sources.values():
        there = "there" if folder and (folder / source.key).exists() else readable_size(source.size)
        address = source.url or f"not downloaded by this command; see {source.page}"
        known_sum = source.checksum or (source.parts and f"{len(source.parts)} files with checksums")
        checksum = f", {known_sum}" if known_sum else ", checksum not known" if source.url else ""
        lines.append(f"{source.key:<30} {there}{checksum}\n{'':<30} {address}")
    return "\n".join(lines)


def chosen(names: Sequence[str]) -> list[Source]:
    """Return the files that some names stand for, each once. UserError for unknown names, all at once."""
    sources = all_sources()
    known_groups = groups(sources.values())
    plain = [name.rstrip("/") for name in names]
    if unknown := [name for name in plain if name not in sources and name not in known_groups]:
        raise suggest(unknown, [*known_groups, *sources], "file")
    members = [source for name in plain for source in known_groups.get(name) or [sources[name]]]
    return list({source.key: source for source in members}.values())


def parser() -> Parser:
    """Return the command line."""
    about = (__doc__ or "").split(": ", 1)[1].partition("\n")[0]
    line = Parser(prog="nas-harness data get", description=about)
    line.add_argument("names", metavar="NAME", nargs="*", help="groups of small files, or files, as --list names them")
    line.add_argument("--data", metavar="DIR", help=DATA_HELP)
    line.add_argument("--list", action="store_true", help="list what can be downloaded, and end")
    line.add_argument("--quiet", action="store_true", help="no progress bar")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for what cannot be downloaded, 130 when interrupted."""
    options = parser().parse_args(arguments)

    def action() -> None:
        if options.list or not options.names:
            print(listing(data_folder(options.data)))
            return
        wanted = chosen(options.names)
        folder = data_folder(options.data, make=True)
        assert folder
        for source in wanted:
            print(origin(source))
            with progress_bar(source.key, "" if source.parts else "B", options.quiet) as show:
                try:
                    line = download(source, folder, show)
                except NoConnectionError as error:
                    raise UserError(f"{error} {without_network(wanted, folder)}") from None
            print(f"  {line}")

    stopped = "stopped; what was received is kept: repeat the command to continue"
    return carry_out("nas-harness data get", action, stopped)


if __name__ == "__main__":
    sys.exit(main())
