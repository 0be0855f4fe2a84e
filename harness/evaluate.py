"""`python -m harness.evaluate`: statistics of scores that were computed elsewhere."""

import sys

from harness.cli.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
