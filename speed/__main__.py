"""`python -m speed`: list the benchmarks, a line each."""

import ast
import sys
from pathlib import Path

from benchmarks.errors import Parser


def benchmarks() -> dict[str, str]:
    """Return command -> the first line of its docstring, of every file here that is a command."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        command, _, what = text.partition("\n\n")[0].replace("\n", " ").partition("`: ")
        if command.startswith("`python -m speed."):
            found[command.strip("`")] = what
    return found


def main(argv: list[str] | None = None) -> int:
    """Print them; return the exit code."""
    Parser(prog="python -m speed", description=__doc__).parse_args(argv)
    for command, what in benchmarks().items():
        print(f"{command}\n    {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
