"""`nas-harness data list|get|convert`: the files of the benchmarks; `python -m benchmarks` and its modules."""

import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.errors import Parser, UserError, suggest
from harness.cli.options import with_config

ACTIONS = {
    "list": ("benchmarks.__main__", "what belongs in the data folder, and what is missing"),
    "get": (
        "benchmarks.download",
        "fetch small published files (201, macro, ...) and large ones with a public address",
    ),
    "convert": ("benchmarks.convert", "turn an official file, or a CSV, into a table that opens in a moment"),
}
"""Name -> its module, and what it does."""
POSITIONAL = {"list": "", "get": "names", "convert": "file"}
"""Action -> what a configuration file calls its words without an option."""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out an action; return its exit code."""
    words = list(sys.argv[1:] if words is None else words)
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  {name:12}{about}" for name, (_, about) in ACTIONS.items()]
        print(
            "\n".join(
                [
                    "usage: nas-harness data ACTION [OPTIONS]",
                    "",
                    "actions:",
                    *lines,
                    "",
                    "options:",
                    "  --config FILE  read the options of an action from this TOML file; those given here win",
                ]
            )
        )
        return 0
    if words[0] not in ACTIONS:
        Parser(prog="nas-harness data").error(str(suggest(words[:1], ACTIONS, "action")))
    parser = Parser(prog=f"nas-harness data {words[0]}")
    try:
        rest = with_config(words[1:], f"data {words[0]}", POSITIONAL[words[0]])
    except UserError as error:
        parser.error(str(error))
    return import_module(ACTIONS[words[0]][0]).main(rest)
