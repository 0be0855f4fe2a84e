"""`python -m harness.proxies`: list the proxies; with names, describe these in full."""

from benchmarks.errors import Parser, carry_out


def main(argv: list[str] | None = None) -> int:
    """Print or write the catalogue; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    line = Parser(prog="python -m harness.proxies", description=__doc__)
    line.add_argument("names", nargs="*", metavar="NAME", help="proxies or ensembles to describe (default: list all)")
    line.add_argument("--markdown", action="store_true", help="write docs/proxies.md of this checkout again")
    options = line.parse_args(argv)

    def action() -> None:
        from benchmarks.errors import UserError
        from harness.report import catalogue

        if options.markdown and not catalogue.PAGE.parent.is_dir():
            raise UserError(f"--markdown: no folder {catalogue.PAGE.parent}; run it in a clone of the repository")
        if options.markdown:
            print(f"written: {catalogue.write()}")
            return
        found = catalogue.entries()
        print(catalogue.details(found, options.names) if options.names else catalogue.listing(found))

    return carry_out("harness.proxies", action, "stopped")
