"""`nas-harness run`: score architectures with zero-cost proxies and compare the scores with the ground truth."""

from benchmarks.benchmark import GROUPS, known
from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options
from harness.runs.config import RunConfig, each_space


def parser() -> Line:
    """Return the command line: an option for each field of RunConfig, and --space."""
    line = Line("run", "Score architectures with zero-cost proxies and compare the scores with the ground truth.")
    several = f"{', '.join(GROUPS)}: several spaces, one after another"
    add_options(line, RunConfig, said={"bench": f"benchmark: {', '.join(known())} (or {several})"})
    line.option("--space", help="of several spaces only these, such as 1 or 1,3")
    return line


def main(argv: list[str] | None = None) -> int:
    """Run; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    spaces = options.pop("space")

    def action() -> None:
        from harness.cli.report import show
        from harness.runs.runner import run

        for config in each_space(spaces, **options):
            show(run(config, say=say, dry_run=True))

    return carry_out("nas-harness run", action, "stopped; everything scored is kept: repeat the command to continue")
