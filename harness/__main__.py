"""`python -m harness COMMAND`: the same as `nas-harness COMMAND`."""

import sys

import harness
from harness.cli.main import main

if __name__ == "__main__":
    if not hasattr(harness, "__version__"):  # this file was found all the same, as in an editable installation
        sys.exit(f"{harness.__path__[0]} hides the installed package harness: use the command nas-harness")
    sys.exit(main())
