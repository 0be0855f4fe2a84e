"""`python -m harness.search`."""

from __future__ import annotations

import sys

from harness.cli.search import main

if __name__ == "__main__":
    sys.exit(main())
