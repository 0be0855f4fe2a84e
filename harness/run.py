"""`python -m harness.run`: score architectures with zero-cost proxies and compare the scores with the ground truth."""

import sys

from harness.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
