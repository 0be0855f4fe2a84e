"""`python -m harness.evaluate`: statistics of scores that were computed elsewhere, as `python -m harness.run` has them for its own."""

from __future__ import annotations

import sys

from harness.cli.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
