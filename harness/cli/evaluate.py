"""`python -m harness.evaluate`: statistics of scores computed elsewhere, as `python -m harness.run` gives them.

The CSV has a column `arch` (official strings) or `index` (official indices), or both, and
    one column for each proxy, named as the proxy;    or    columns `proxy` and `score`, a row for each score.
A column `seed`, if there is one, tells several scores of one architecture apart. Larger is better. A cell that is
empty, nan or inf is a failure and is counted. All counts and random are added to compare with.
"""

from benchmarks.benchmark import known
from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options, keep_config
from harness.runs.config import RunConfig

SHARED = ("bench", "dataset", "split", "epochs", "reduction", "target", "given", "data", "existing", "out")
"""Options that mean here what they mean for a run."""


def parser() -> Line:
    """Return the command line."""
    line = Line("evaluate", "Statistics of scores computed elsewhere, as `nas-harness run` gives them.")
    line.option("scores", help="CSV with a column arch or index and one for each proxy, or arch, proxy, score")
    add_options(line, RunConfig, only=SHARED, said={
        "bench": f"benchmark: {', '.join(known())}",
        "existing": "if --out holds other scores: resume (default: an error), replace, refuse",
    })  # fmt: skip
    return line


def main(argv: list[str] | None = None) -> int:
    """Evaluate; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)

    def action() -> None:
        from harness.cli.run import show
        from harness.runs.evaluate_scores import store_scores

        settings = dict(options)
        run = store_scores(settings.pop("scores"), settings.pop("bench"), say=say, **settings)
        keep_config(run.path, "evaluate", options)
        show(run)

    return carry_out("nas-harness evaluate", action, "stopped: repeat the command")
