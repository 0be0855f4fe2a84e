"""`python -m harness.operations`."""

from __future__ import annotations

import sys

from harness.cli.operations import main

if __name__ == "__main__":
    sys.exit(main())
