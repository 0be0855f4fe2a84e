"""`python -m harness COMMAND`: the same as `nas-harness COMMAND`."""

import sys

from harness.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
