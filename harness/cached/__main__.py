"""`python -m harness.cached`."""

from __future__ import annotations

import sys

from harness.cli.cached import main

if __name__ == "__main__":
    sys.exit(main())
