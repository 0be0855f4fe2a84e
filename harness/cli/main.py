"""`nas-harness COMMAND`, also `python -m harness COMMAND`: the one command line, which hands over to a command."""

import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.errors import Parser, reader_left, suggest
from harness.store.version import VERSION

COMMANDS = {
    "run": ("harness.cli.run", "score architectures of a benchmark and compare with their accuracies"),
    "merge": ("harness.cli.merge", "join the parts of a run that were scored with --shard"),
    "report": ("harness.cli.report", "tables, figures and page of stored runs again; several runs compared"),
    "compare": ("harness.cli.compare", "proxies head to head, on one benchmark or all"),
    "scorecard": ("harness.cli.scorecard", "every kept score on every task, and where each stands"),
    "leaderboard": ("harness.cli.leaderboard", "the page of all scores; add: check a submission and add it"),
    "plan": ("harness.cli.plan", "architectures and draws that tell two scores apart; published gains within noise"),
    "choose": ("harness.cli.choose", "which score to take for a budget of seconds"),
    "targets": ("harness.cli.targets", "kept scores against robustness, energy and latency"),
    "evaluate": ("harness.cli.evaluate", "the same statistics for scores computed elsewhere (CSV)"),
    "search": ("harness.cli.search", "simulated searches on a table, searches over a supernet"),
    "operations": ("harness.cli.operations", "scores of operations on edges, compared with the table"),
    "reproduce": ("harness.cli.reproduce", "published tables, compared value by value"),
    "train": ("harness.cli.train", "ground truth for data of your own"),
    "data": ("harness.cli.data", "list: what files belong in the data folder; get: download; convert: official files"),
    "zoo": ("harness.cli.zoo", "scores of the networks of timm or torchvision, failures counted with reasons"),
    "proxies": ("harness.cli.proxies", "list the proxies, or describe some"),
    "scores": ("harness.cli.cached", "list the scores kept with the program, or print a set"),
}
"""Name -> its module, and what it does."""
EXAMPLES = """examples:
  nas-harness run --bench 201                      first result, no download
  nas-harness run --bench 201 --proxies mine.py    your own proxy
  nas-harness compare mine.py synflow              is it better, on all benchmarks?

nas-harness COMMAND --help lists the options of a command."""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command; return its exit code."""
    try:
        try:
            return _carry_out(list(sys.argv[1:] if words is None else words))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return reader_left()


def _carry_out(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"nas-harness {VERSION}")
        return 0
    if words[0] not in COMMANDS:
        Parser(prog="nas-harness").error(str(suggest(words[:1], COMMANDS, "command")))
    return import_module(COMMANDS[words[0]][0]).main(words[1:])


def usage() -> str:
    """Return what --help prints."""
    lines = [f"  {name:12}{about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join([
        "usage: nas-harness COMMAND [OPTIONS]", "",
        "How far can a zero-cost proxy of neural architecture search be trusted?", "", "commands:", *lines, "",
        EXAMPLES,
    ])  # fmt: skip
