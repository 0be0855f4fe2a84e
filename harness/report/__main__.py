"""`python -m harness.report`."""

from __future__ import annotations

import sys

from harness.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
