"""`nas-harness targets`: kept scores against robustness, energy, latency or columns of your own; nothing is scored."""

import sys

from benchmarks.errors import carry_out
from harness.cli.options import Line, add_options, add_out, result_of
from harness.runs.config import RunConfig


def parser() -> Line:
    """Return the command line."""
    line = Line("targets", "All kept scores against further targets of their architectures. Nothing is scored.")
    line.option("--bench", default="201", help="benchmark (default 201)")
    add_options(line, RunConfig, only=("dataset", "given", "data"))
    line.option("--target", default="all", help="targets, by commas: all (default) whose file is in the data folder,"
                " robust:NAME, hardware:NAME, latency:NAME (a group alone: all of it), FILE.csv:COLUMN")  # fmt: skip
    line.option("--list", action="store_true", help="list the targets that are there, and end")
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Make the tables; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().arguments(words)

    def action() -> None:
        from benchmarks.benchmark import space_of
        from benchmarks.files.sources import data_folder
        from benchmarks.spaces.targets import targets
        from harness.report.result import write_manifest
        from harness.report.targets import TARGETS, show_targets, target_report
        from harness.runs.kept_runs import kept_with_targets

        if options["list"]:
            found = targets(space_of(options["bench"]), data_folder(options["data"]), options["dataset"])
            print("\n".join(found) or "no file of targets in the data folder; nas-harness data get --list names them")
            return
        with result_of("targets", words, options, TARGETS, "targets", options["bench"]) as (folder, command):
            which = {name: options[name] for name in ("dataset", "data", "target", "given")}
            show_targets(target_report(kept_with_targets(options["bench"], **which)), folder)
            write_manifest(folder, {"kind": TARGETS, "command": command})

    return carry_out("nas-harness targets", action, "stopped: repeat the command")
