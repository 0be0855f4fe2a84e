"""`python -m harness.report`."""

import sys

from harness.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
