"""`python -m harness.reproduce.hnas`: the tables of HNAS's four metrics, from scores that were stored.

Between metrics: Pearson, Spearman, Kendall. With test error: the metrics, and the two guarantees of generalisation.
From one dataset to another: scored on one, judged by the errors of each.
"""

from benchmarks.benchmark import BENCHMARKS
from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options, add_out, check_existing, keep_config
from harness.reproduce.hnas.config import HnasConfig


def parser() -> Line:
    """Return the command line."""
    line = Line("reproduce hnas", "The tables of HNAS's four metrics, from scores that were stored.")
    add = line.option
    add("--scores", required=True, nargs="+", help="folders of runs, one for each dataset, or a CSV of scores")
    add("--bench", required=True, help=f"benchmark: {', '.join(BENCHMARKS)}")
    add_options(line, HnasConfig)
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Make the tables; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    config = dict(options)
    out, _, scores = options.pop("out"), options.pop("existing"), tuple(options.pop("scores"))

    def action() -> None:
        from rich.console import Console
        from rich.markdown import Markdown

        from harness.reproduce.hnas.collect import collect
        from harness.reproduce.hnas.report import folder_for, markdown, write_tables

        folder = folder_for(out, options["bench"], options | {"scores": scores})
        check_existing(folder, "reproduce hnas", config)
        found = collect(HnasConfig(scores, **options))
        Console().print(Markdown(markdown(found)))
        write_tables(found, folder)
        keep_config(folder, "reproduce hnas", config)
        say(f"written to {folder}")

    return carry_out("nas-harness reproduce hnas", action, "stopped; nothing was written: repeat the command")
