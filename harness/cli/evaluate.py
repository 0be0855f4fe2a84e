"""`python -m harness.evaluate`: statistics of scores computed elsewhere, as `python -m harness.run` gives them.

The CSV has a column `arch` (official strings) or `index` (official indices), or both, and
    one column for each proxy, named as the proxy;    or    columns `proxy` and `score`, a row for each score.
A column `seed`, if there is one, tells several scores of one architecture apart. Larger is better. A cell that is
empty, nan or inf is a failure and is counted. params, flops, layers and random are added to compare with.
"""

import sys

from benchmarks.benchmark import known
from benchmarks.errors import Parser, carry_out
from harness.cli.options import add_options
from harness.runs.config import RunConfig

SHARED = ("bench", "dataset", "split", "epochs", "reduction", "data", "existing", "out")
"""Options that mean here what they mean for a run."""


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.evaluate", description=(__doc__ or "").split("\n\n")[0])
    line.add_argument("scores", help="CSV with a column arch or index and one for each proxy, or arch, proxy, score")
    add_options(line, RunConfig, only=SHARED, said={
        "bench": f"benchmark: {', '.join(known())}",
        "existing": "if --out holds other scores: resume (default: an error), replace, refuse",
    })  # fmt: skip
    return line


def main(argv: list[str] | None = None) -> int:
    """Evaluate; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = vars(parser().parse_args(argv))

    def action() -> None:
        from harness.cli.options import show
        from harness.runs.evaluate_scores import store_scores

        scores, bench = options.pop("scores"), options.pop("bench")
        show(store_scores(scores, bench, say=lambda line: print(line, file=sys.stderr), **options))

    return carry_out("harness.evaluate", action, "stopped: repeat the command")
