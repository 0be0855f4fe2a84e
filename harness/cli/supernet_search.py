"""The command line of searches over a supernet: `python -m harness.search --method zero-cost-pt` comes here."""

from collections.abc import Sequence
from dataclasses import fields

from benchmarks.errors import carry_out, say
from harness.cli.operations import BENCH, RENAMED, STOPPED
from harness.cli.options import Line, add_options, add_out, back, check_existing, keep_config
from harness.operations.config import OperationsConfig
from harness.operations.search.config import FindConfig


def parser() -> Line:
    """Return the command line: an option for each field of FindConfig and, but for the scores, of OperationsConfig."""
    line = Line("search", "Search over a supernet, untrained or trained.")
    add_options(line, FindConfig)
    add_options(line, OperationsConfig, without=("scores", "reference", "along"), said=BENCH, renamed=RENAMED)
    add_out(line)
    return line


def main(argv: Sequence[str] | None = None) -> int:
    """Search; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    config_file = dict(options)
    options = back(options, RENAMED)
    out, _ = options.pop("out"), options.pop("existing")
    how = {each.name: options.pop(each.name) for each in fields(FindConfig) if each.name in options}

    def action() -> None:
        from harness.operations.search.report import folder_for, mean_line, write_found
        from harness.operations.search.run import find

        config = FindConfig(base=OperationsConfig(**options), **how)
        folder = folder_for(config, out)
        check_existing(folder, "search", config_file)
        found = find(config, say=say, folder=folder)
        print(mean_line(found))
        write_found(found, folder)
        keep_config(folder, "search", config_file)
        print(f"written to {folder}")

    return carry_out("nas-harness search", action, STOPPED)
