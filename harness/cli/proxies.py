"""`python -m harness.proxies`: list the proxies; with names, describe these in full."""

from benchmarks.errors import carry_out
from harness.cli.options import Line


def parser() -> Line:
    """Return the command line."""
    line = Line("proxies", "List the proxies; with names, describe these in full.")
    line.option("names", nargs="*", metavar="NAME", help="proxies or ensembles to describe (default: list all)")
    line.option("--markdown", action="store_true", help="write docs/proxies.md of this checkout again")
    return line


def main(argv: list[str] | None = None) -> int:
    """Print or write the catalogue; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    names, markdown = options["names"], options["markdown"]

    def action() -> None:
        from benchmarks.errors import UserError
        from harness.report import catalogue

        if markdown and not catalogue.PAGE.parent.is_dir():
            raise UserError(f"--markdown: no folder {catalogue.PAGE.parent}; run it in a clone of the repository")
        if markdown:
            print(f"written: {catalogue.write()}")
            return
        found = catalogue.entries()
        print(catalogue.details(found, names) if names else catalogue.listing(found))

    return carry_out("nas-harness proxies", action, "stopped")
