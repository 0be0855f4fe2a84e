"""`nas-harness merge`: join the parts of a run that were scored with --shard, as on the nodes of a cluster."""

from pathlib import Path

from benchmarks.errors import carry_out, say
from harness.cli.options import Line


def parser() -> Line:
    """Return the command line."""
    line = Line("merge", "Join the parts of a run that were scored with --shard, and make its report.")
    line.option(
        "folders", nargs="+", type=Path, help="the --out of runs with --shard, or run folders with equal settings"
    )
    line.option("--out", type=Path, help="run folder (default: the folder that holds the shards)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Merge; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)

    def action() -> None:
        from harness.cli.run import show
        from harness.runs.merge import merge

        show(merge(options["folders"], options["out"], say))

    return carry_out("nas-harness merge", action, "stopped; the folders are as they were: repeat the command")
