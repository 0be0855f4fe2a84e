"""What all command lines share: one line for what is wrong, and exit codes."""

import argparse
import contextlib
import difflib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from benchmarks.errors import UserError


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line, with the nearest valid one; accepts no shortened option names."""

    def __init__(self, **settings) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        valid = [option for action in self._actions for option in action.option_strings]
        for word in message.split():
            name = word.split("=")[0]
            if name.startswith("--") and name not in valid and (near := difflib.get_close_matches(name, valid, n=1)):
                message += f" (did you mean {near[0]}?)"
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def carry_out(name: str, action: Callable[[], None], stopped: str) -> int:
    """Call `action`; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted (Ctrl-C or SIGTERM).

    `stopped` is printed after an interrupt: what is kept and how to go on.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's stop is treated as Ctrl-C
    try:
        action()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: {stopped}", file=sys.stderr)
        return 130
    return 0


Progress = Callable[[int, int | None], None]
"""Called with what is done and what there is in all: bytes of a file, files of a folder; None where it is not known."""


@contextlib.contextmanager
def progress_bar(name: str, unit: str = "B", quiet: bool = False) -> Iterator[Progress]:
    """Show a progress bar on standard error; give what moves it."""
    from tqdm import tqdm

    with tqdm(desc=name, unit=unit, unit_scale=True, disable=quiet, leave=False) as bar:

        def show(done: int, total: int | None) -> None:
            if bar.total is None and total is not None:
                bar.reset(total)
                bar.initial = bar.n = bar.last_print_n = done  # what an earlier command left counts for no speed
            bar.update(done - bar.n)

        yield show
