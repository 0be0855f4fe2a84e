"""`python -m harness.cached`: the scores that are kept with the program; with a name, these scores as CSV."""

from __future__ import annotations

from harness.cached import kept
from harness.cli.parser import Parser, carry_out


def main(argv: list[str] | None = None) -> int:
    """Print a list or a set, or make the sets anew; return the exit code: 0 done, 2 unusable input, 130 interrupted."""
    parser = Parser(prog="python -m harness.cached", description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="print these scores as CSV (default: list the sets)")
    parser.add_argument("--make", action="store_true", help="make the sets anew from results/tables of this checkout")
    given = parser.parse_args(argv)

    def action() -> None:
        from benchmarks.errors import UserError

        if given.make and not kept.TABLES.is_dir():
            raise UserError(f"--make: no folder {kept.TABLES}; run it in a clone of the repository")
        if given.make:
            print("\n".join(f"written: {path}" for path in kept.write()))
        else:
            print(kept.table(given.name) if given.name else kept.listing(), end="" if given.name else "\n")

    return carry_out("harness.cached", action, "stopped")
