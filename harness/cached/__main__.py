"""`python -m harness.cached`."""

import sys

from harness.cli.cached import main

if __name__ == "__main__":
    sys.exit(main())
