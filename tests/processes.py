"""A command in a session of its own, so that a test can signal it and look for what it left behind (needs /proc)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path


class Session:
    """`python ARGUMENTS` in `folder`; whatever is left of it at the end of the block is killed."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.log = folder / "log"
        root = str(Path(__file__).resolve().parents[1])
        environment = {name: value for name, value in os.environ.items() if name != "NAS_HARNESS_DATA"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=folder, stderr=log, stdout=log, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores Ctrl-C
                env={**environment, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self) -> str:
        """Everything written to stdout and stderr so far."""
        return self.log.read_text()

    def until(self, pattern: str, seconds: float = 240) -> None:
        """Wait until the command has said something (a regular expression)."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.said):
            assert self.process.poll() is None and time.monotonic() < end, self.said
            time.sleep(0.05)

    def send(self, how: signal.Signals) -> None:
        """Send a signal: Ctrl-C to the whole session, as a terminal does; others to the command alone."""
        (os.killpg if how == signal.SIGINT else os.kill)(self.process.pid, how)

    def members(self) -> list[int]:
        """Return the processes of the session that are alive."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def gone(self, seconds: float) -> bool:
        """Whether no process of the session is left after this time."""
        end = time.monotonic() + seconds
        while self.members() and time.monotonic() < end:
            time.sleep(0.1)
        return not self.members()
