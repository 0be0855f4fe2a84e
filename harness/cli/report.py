"""`python -m harness.report RUN [OTHER ...]`: remake tables, figures and page from stored runs."""

from pathlib import Path

from benchmarks.errors import Parser, carry_out


def main(argv: list[str] | None = None) -> int:
    """Make the reports; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    line = Parser(prog="python -m harness.report", description=(__doc__ or "").split(": ", 1)[1].capitalize())
    add = line.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run; with several, a comparison too")
    add("--out", type=Path, help="folder to write to (default: the first run's)")
    add("--population", default="all", help="population of the printed table: all (default), connected, distinct, each")
    add("--baseline", default="auto",
        help="proxy the others are compared with (default: the best of params, flops, layers)")  # fmt: skip
    add("--intervals", default="auto", help="auto (default: not where the whole space was scored), always, never")
    add("--resamples", type=int, default=1000, help="bootstrap resamples of the intervals (default 1000)")
    options = vars(line.parse_args(argv))

    def action() -> None:
        from harness.cli.options import show_stored

        show_stored(**options)

    stopped = "stopped; every file there is complete: repeat the command for the rest"
    return carry_out("harness.report", action, stopped)
