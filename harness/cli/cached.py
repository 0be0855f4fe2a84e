"""`python -m harness.cached`: list the scores kept with the program; with a name, print these as CSV."""

from benchmarks.errors import Parser, carry_out
from harness.cached import kept


def main(argv: list[str] | None = None) -> int:
    """Print the list or a set, or make the sets; return the exit code: 0 done, 2 unusable input, 130 interrupted."""
    parser = Parser(prog="python -m harness.cached", description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="print these scores as CSV (default: list the sets)")
    parser.add_argument("--make", action="store_true", help="make the sets again from results/tables of this checkout")
    options = parser.parse_args(argv)

    def action() -> None:
        if options.make:
            from harness.cached.pack import write

            print("\n".join(f"written: {path}" for path in write()))
        else:
            print(kept.table(options.name) if options.name else kept.listing(), end="" if options.name else "\n")

    return carry_out("harness.cached", action, "stopped")
