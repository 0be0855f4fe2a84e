"""`python -m harness.proxies`."""

from __future__ import annotations

import sys

from harness.cli.proxies import main

if __name__ == "__main__":
    sys.exit(main())
