"""`python -m harness.cached`: list the scores kept with the program; with a name, print these as CSV."""

from pathlib import Path

from benchmarks.errors import carry_out
from harness.cached import kept
from harness.cli.options import Line


def parser() -> Line:
    """Return the command line."""
    line = Line("scores", "List the scores kept with the program; with a name, print these as CSV.")
    line.option("name", nargs="?", metavar="NAME", help="print these scores as CSV (default: list the sets)")
    line.option("--make", action="store_true", help="make the sets again from results/tables of this checkout")
    line.option("--pack", metavar="RUN", help="keep the scores of a run folder under --name, its statistics alone in"
                " results/tables of this checkout")  # fmt: skip
    line.option("--name", dest="as_name", metavar="NAME", help="of that set (default: of the run folder)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Print the list or a set, or make the sets; return the exit code: 0 done, 2 unusable input, 130 interrupted."""
    options = parser().arguments(argv)

    def action() -> None:
        if options["make"]:
            from harness.cached.pack import write

            print("\n".join(f"written: {path}" for path in write()))
        elif options["pack"]:
            from harness.cached.pack import keep

            run = Path(options["pack"])
            print("\n".join(f"written: {path}" for path in keep(run, options["as_name"] or run.name)))
        else:
            name = options["name"]
            print(kept.table(name) if name else kept.listing(), end="" if name else "\n")

    return carry_out("nas-harness scores", action, "stopped")
