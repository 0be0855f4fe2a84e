"""The command reference, docs/commands.md: made from the parsers by `python -m harness.cli.reference`."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.errors import Parser, UserError, carry_out
from harness.cli import data, hnas, supernet_search
from harness.cli.main import COMMANDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
INTRODUCTION = """# Commands

Made from the parsers by `python -m harness.cli.reference`. `nas-harness COMMAND --help` prints the same.

`nas-harness COMMAND` and `python -m harness COMMAND` are the same; `python -m harness.run` and the like still work. An
option means the same in every command that has it. Every command takes `--config FILE` (a TOML file of options, such as
the `config.toml` that each result holds; options on the command line win), `-q` (results and errors alone), `-v` (the
traceback behind an error too), `--version` and `--help`. The exit code is 0 when done, 2 for input that cannot be used,
130 after Ctrl-C.
"""
DATA = """## data

Files of the benchmarks: [data.md](data.md). They are `python -m benchmarks`, `benchmarks.download` and
`benchmarks.convert`, too.
"""
COMMON = ("config", "quiet", "verbose", "version", "help")


def reference() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for name, (module, about) in COMMANDS.items():
        if name == "data":
            parts.append(DATA)
            for action, (home, does) in data.ACTIONS.items():
                parts.append(_section(f"### data {action}", import_module(home).parser(), does))
            continue
        parts.append(_section(f"## {name}", import_module(module).parser(), about))
        if name == "search":
            parts.append(_section("### search, over a supernet", supernet_search.parser(), "with `--method` of one"))
        if name == "reproduce":
            parts.append(_section("### reproduce hnas", hnas.parser(), "the tables of HNAS's metrics"))
    return "\n".join(parts)


def _section(title: str, line: Parser, about: str) -> str:
    """Return a command's options as a table under each heading."""
    words = [each for each in line._actions if not each.option_strings]
    usage = " ".join([line.prog, *(str(each.metavar or each.dest.upper()) for each in words)])
    lines = [title, "", f"`{usage} [OPTIONS]`: {about}.", "", "| option | meaning |", "|---|---|"]
    for group in line._action_groups:
        shown = [a for a in group._group_actions if a.help != argparse.SUPPRESS and a.dest not in COMMON]
        if shown:
            lines.append(f"| **{group.title}** | |")
            lines += [f"| {_names(action)} | {_cell(action.help or '')} |" for action in shown]
    return "\n".join([*lines, ""])


def _names(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    return names or f"`{action.metavar or action.dest.upper()}`"


def _cell(text: str) -> str:
    """Return a help text as a cell of markdown."""
    return text.replace("%%", "%").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def main() -> int:
    """Write the page; return the exit code."""

    def action() -> None:
        if not PAGE.parent.is_dir():
            raise UserError(f"no folder {PAGE.parent}; run it in a clone of the repository")
        PAGE.write_text(reference(), "utf-8")
        print(f"written: {PAGE}")

    return carry_out("harness.cli.reference", action, "stopped")


if __name__ == "__main__":
    sys.exit(main())
