"""What all command lines share: one line for what is wrong, and exit codes."""

import argparse
import difflib
import signal
import sys
from collections.abc import Callable
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
