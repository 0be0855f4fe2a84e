"""`python -m harness.run`: score architectures with zero-cost proxies and compare the scores with the ground truth."""

import sys

from benchmarks.benchmark import GROUPS, known
from benchmarks.errors import Parser, carry_out
from harness.cli.options import add_options
from harness.runs.config import RunConfig, each_space


def parser() -> Parser:
    """Return the command line: an option for each field of RunConfig, and --space."""
    line = Parser(prog="python -m harness.run", description=__doc__)
    several = f"{', '.join(GROUPS)}: several spaces, one after another"
    add_options(line, RunConfig, said={"bench": f"benchmark: {', '.join(known())} (or {several})"})
    line.add_argument("--space", help="of several spaces only these, such as 1 or 1,3")
    return line


def main(argv: list[str] | None = None) -> int:
    """Run; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = vars(parser().parse_args(argv))
    spaces = options.pop("space")

    def action() -> None:
        from harness.cli.options import show
        from harness.runs.runner import run

        for config in each_space(spaces, **options):
            show(run(config, say=lambda line: print(line, file=sys.stderr)))

    return carry_out("harness.run", action, "stopped; everything scored is kept: repeat the command to continue")
