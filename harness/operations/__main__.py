"""`python -m harness.operations`."""

import sys

from harness.cli.operations import main

if __name__ == "__main__":
    sys.exit(main())
