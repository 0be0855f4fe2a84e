"""`nas-harness compare PROXY PROXY ...`: proxies head to head, on one benchmark or all."""

from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options, add_out, check_existing, keep_config
from harness.runs.config import RunConfig

SHARED = (
    "dataset", "split", "epochs", "reduction", "target", "data", "sample", "seeds", "protocol", "batch_size", "inputs",
    "devices", "precision", "stack", "workers", "proxy_timeout",
)  # fmt: skip
"""Options that mean here what they mean for a run."""
STOPPED = "stopped; everything scored is kept: repeat the command to continue"


def parser() -> Line:
    """Return the command line."""
    line = Line("compare", "Proxies head to head: paired differences in rho, tau-b and regret, wins, ranks, verdicts.")
    line.option("words", nargs="+", metavar="PROXY", help="two or more: names, FILE.py:NAME of your own, a CSV of"
                " scores, folders of runs")  # fmt: skip
    line.option("--bench", default="all", help="benchmarks, by commas, or all (default): every one with ground truth")
    line.option("--kept", action="store_true", help="take built-in proxies from the kept scores where there are any")
    add_options(line, RunConfig, only=SHARED)
    line.option("--population", default="all", help="all (default), connected or distinct architectures")
    line.option("--resamples", type=int, default=1000, help="bootstrap resamples of the intervals (default 1000)")
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Compare; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)

    def action() -> None:
        from harness.analysis.head_to_head import head_to_head
        from harness.analysis.targets import each_target
        from harness.report.compare import HEAD_TO_HEAD, print_head_to_head, write_head_to_head
        from harness.report.result import result_folder
        from harness.runs.assemble import command_line
        from harness.runs.sources import gather, names_of

        settings = dict(options)
        out, _ = settings.pop("out"), settings.pop("existing")
        folder = result_folder(out, ["compare"], HEAD_TO_HEAD, "comparison", settings)
        check_existing(folder, "compare", options)
        words, bench = settings.pop("words"), settings.pop("bench")
        how = {name: settings.pop(name) for name in ("population", "resamples")}
        runs = each_target(gather(words, bench, say=say, **settings))
        found = head_to_head(runs, names_of(words, runs.values()), **how)
        print_head_to_head(found)
        write_head_to_head(found, folder, command_line())
        keep_config(folder, "compare", options)
        print(f"written to {folder}")

    return carry_out("nas-harness compare", action, STOPPED)
