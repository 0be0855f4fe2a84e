"""`python -m harness.reproduce`."""

import sys

from harness.cli.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
