"""`python -m harness.train`: ground truth for one's own data, many architectures trained at once."""

import sys

from harness.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
