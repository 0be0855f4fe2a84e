"""`python -m harness.proxies`."""

import sys

from harness.cli.proxies import main

if __name__ == "__main__":
    sys.exit(main())
