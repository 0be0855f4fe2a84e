"""`python -m harness.reproduce.hnas`."""

import sys

from harness.cli.hnas import main

if __name__ == "__main__":
    sys.exit(main())
