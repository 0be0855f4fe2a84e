"""`python -m benchmarks`: which ground truth and images are there, which are missing, and where they come from."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.benchmark import EMBEDDED, EMBEDDED_DATASET, GROUPS, known, space_of
from benchmarks.errors import Parser, UserError, carry_out
from benchmarks.files.sources import DATA_HELP, IMAGES, VARIABLE, Source, data_folder, matches, readable_size
from benchmarks.spaces.space import Space
from benchmarks.table import list_datasets, load_table

OWN = (("h5", "our table, from convert"), ("csv", "accuracies as CSV, own or published"))
"""Ending of nasbench<NAME> -> what it is."""


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _line(name: str, about: str, note: str) -> str:
    return f"  {name:<30} {about:<36} {note}"


def _official(source: Source, folder: Path | None, convert: bool) -> str:
    """Return the line of an official file; `convert` where it has to be converted."""
    found = next(matches(source, folder), None) if folder else None
    if found is not None:
        note = f"there, {readable_size(_size(found))}"
        if convert and not source.direct:
            note += f"; convert once: python -m benchmarks.convert {found}"
    else:
        checksum = "checksums known" if source.parts else (source.checksum or "checksum not known").replace(":", " ")
        note = ", ".join(["missing", *([readable_size(source.size)] if source.size else []), checksum])
        note += f"; nas-harness data get {source.group or source.key}" if source.url else f"; see {source.page}"
    return _line(source.name, source.about, note)


def _own(name: str, about: str, folder: Path | None) -> str:
    """Return the line of a table of ours or a CSV."""
    path = folder / name if folder else None
    if path is None or not path.is_file():
        return _line(name, about, "missing")
    try:
        held = f": {', '.join(list_datasets(path))}" if path.suffix == ".h5" else ""
    except UserError as error:
        return _line(name, about, f"there, but {error}")
    return _line(name, about, f"there, {readable_size(_size(path))}{held}")


def _embedded(space: Space) -> str:
    """Return what is embedded: "1,024 networks (1,498 strings) x 3 seeds"; empty where nothing is."""
    path = EMBEDDED / f"{EMBEDDED_DATASET}{space.name}.h5"
    if not path.is_file():
        return ""
    table = load_table(path, EMBEDDED_DATASET)
    space = space.over(table.archs)
    networks = {int(space.class_id[space.index(arch)]) for arch in table.archs}
    return f"{len(networks):,} networks ({len(table):,} strings) x {len(table.trials)} seeds"


def _benchmark(bench: str, folder: Path | None) -> Iterator[str]:
    """Yield the lines of one benchmark."""
    try:
        space = space_of(bench)
        embedded = _embedded(space)
    except UserError as error:
        yield f"\n{error}"
        return
    if group := next((name for name, keys in GROUPS.items() if keys[0] == bench), None):
        yield f"\n--bench {group}: {', '.join(GROUPS[group])}, one after another"
    if space.view_of:
        yield f"{space.title} (--bench {bench}): by the ground truth of benchmark {space.view_of}"
    else:
        yield f"\n{space.title} (--bench {bench})"
    if embedded:
        yield _line("(embedded)", f"on {EMBEDDED_DATASET}", f"there: {embedded}")
    for ending, about in OWN:
        if not space.view_of or (folder and (folder / f"nasbench{bench}.{ending}").is_file()):
            yield _own(f"nasbench{bench}.{ending}", about, folder)
    for source in space.sources:
        yield _official(source, folder, convert=True)
    for source in (source for target in space.targets for source in target.sources):
        yield _official(source, folder, convert=False)


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="nas-harness data list", description=(__doc__ or "").split(": ", 1)[1])
    line.add_argument("--data", metavar="DIR", help=DATA_HELP)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code: 0, 2 for a data folder that does not exist."""
    options = parser().parse_args(arguments)

    def action() -> None:
        folder = data_folder(options.data)
        none = f"none yet: nas-harness data get 201, or name one with --data DIR or in {VARIABLE}"
        print(f"Data folder: {folder.resolve() if folder else none}")
        for bench in known():
            print("\n".join(_benchmark(bench, folder)))
        print("\nImages", *(_official(source, folder, convert=False) for source in IMAGES), sep="\n")
        print("\nEach file or folder goes into the data folder itself, under the name shown (* stands for any ending).")

    return carry_out("benchmarks", action, "stopped")


if __name__ == "__main__":
    sys.exit(main())
