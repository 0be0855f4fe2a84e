"""What the commands share: the command line and its checks, the JSON file of the numbers, progress on stderr."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.errors import Parser, UserError, carry_out
from benchmarks.files.write import write_text
from harness.engine.devices import problem


class CommandLine(Parser):
    """The options of `python -m speed.NAME`, described by the first paragraph of its docstring."""

    def __init__(self, name: str, doc: str | None) -> None:
        super().__init__(prog=f"python -m speed.{name}", description=(doc or "").split("\n\n")[0])
        self.name = f"speed.{name}"
        self.checks: list[Callable[[argparse.Namespace], str]] = []
        """Each returns what is wrong with an option, or nothing."""

    def count(self, option: str, what: str, default: int | None = None) -> None:
        """Add an option that takes a number of 1 or more."""
        action = self.add_argument(
            option, type=int, default=default, help=what + (f" (default {default})" if default is not None else "")
        )

        def check(given: argparse.Namespace) -> str:
            value = getattr(given, action.dest)
            return f"{option} {value}: expected 1 or more" if value is not None and value < 1 else ""

        self.checks.append(check)

    def sizes(self, option: str, what: str, default: str) -> None:
        """Add an option that takes numbers of 1 or more, separated by commas; `numbers` reads them."""
        action = self.add_argument(option, default=default, help=f"{what}, separated by commas (default {default})")

        def check(given: argparse.Namespace) -> str:
            text = getattr(given, action.dest)
            right = all(word.isdecimal() and int(word) > 0 for word in text.split(","))
            return "" if right else f"{option} '{text}': expected whole numbers above 0, such as 1,8,32"

        self.checks.append(check)

    def device(self) -> None:
        """Add --device (or --devices, as `harness.run` calls it); `harness.engine.devices.local` finds it."""
        self.add_argument(
            "--device", "--devices", default="auto", help="auto (default: a GPU if there is one), cpu, cuda, cuda:N"
        )
        self.checks.append(lambda given: problem(given.device))

    def out(self, path: str) -> None:
        """Add --out, the file for the numbers."""
        self.add_argument("--out", type=Path, default=Path(path), help=f"file for the numbers (default {path})")

    def figure(self, draw: Callable[[Any, Path], Path | None]) -> None:
        """Add --draw: `draw(numbers, path without a suffix)` makes the figure of --out again."""
        self.add_argument("--draw", action="store_true", help="draw the figure of --out again; nothing is measured")
        self._draw = draw

    def _redraw(self, path: Path) -> None:
        try:
            written = self._draw(json.loads(path.read_text("utf-8")), path.with_suffix(""))
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"--out {path}: not the numbers of an earlier {self.name} ({error})") from error
        print(f"written: {written}")

    def run(
        self, argv: list[str] | None, action: Callable[[argparse.Namespace], bool | None],
        stopped: str = "stopped; nothing is written",
    ) -> int:  # fmt: skip
        """Check the options, call `action`; return the exit code: `carry_out`'s, or 1 if the action returns True."""
        given = self.parse_args(argv)
        failed: list[bool | None] = []

        def checked() -> None:
            if wrong := [text for check in self.checks if (text := check(given))]:
                raise UserError("; ".join(wrong))
            if getattr(given, "draw", False):
                return self._redraw(given.out)
            failed.append(action(given))
            return None

        return carry_out(self.name, checked, stopped) or int(any(failed))


def numbers(text: str) -> list[int]:
    """Return the numbers of an option that `CommandLine.sizes` added."""
    return [int(word) for word in text.split(",")]


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, its folder too; a reader sees the whole old file or the whole new one."""
    write_text(path, json.dumps(value, indent=1, default=str))


def say(text: str) -> None:
    """Report progress on stderr."""
    print(text, file=sys.stderr, flush=True)
