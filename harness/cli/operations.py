"""`python -m harness.operations`: compare scores of operations on edges with each other and with the table.

Scores from the table (best-acc, avg-acc), of an untrained supernet perturbed (zc-pt, disc-zc, each with any proxy as
zc-pt:PROXY; tenas), saliencies (zeros-*, weights-*), and of a trained supernet (darts, darts-pt, disc-acc, ostr,
removal); docs/operations.md says what they are.
"""

from benchmarks.benchmark import BENCHMARKS
from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options, add_out, back, check_existing, keep_config
from harness.operations.config import OperationsConfig

STOPPED = "stopped; no results were written, trained epochs of supernets are kept: repeat the command to go on"
BENCH = {"bench": f"benchmark of operations on edges: {', '.join(BENCHMARKS)}"}
RENAMED = {"scores": "operation_scores", "network": "network_settings"}
"""Field -> its option, where its own name means something else in other commands."""


def parser() -> Line:
    """Return the command line: an option for each field of OperationsConfig, --out and --existing."""
    line = Line("operations", (__doc__ or "").split(": ", 1)[1])
    add_options(line, OperationsConfig, said=BENCH, renamed=RENAMED)
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Compare; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    config_file = dict(options)
    options = back(options, RENAMED)
    out, _ = options.pop("out"), options.pop("existing")

    def action() -> None:
        from harness.operations.compare import compare
        from harness.operations.report import folder_for, print_comparison, write_comparison

        config = OperationsConfig(**options)
        folder = folder_for(config, out)
        check_existing(folder, "operations", config_file)
        found = compare(config, say=say, folder=folder)
        print_comparison(found)
        write_comparison(found, folder)
        keep_config(folder, "operations", config_file)
        print(f"written to {folder}")

    return carry_out("nas-harness operations", action, STOPPED)
