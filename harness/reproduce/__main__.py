"""`python -m harness.reproduce`."""

from __future__ import annotations

import sys

from harness.cli.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
