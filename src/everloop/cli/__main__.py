"""`python -m everloop.cli`, the same as `everloop`."""

import sys

from everloop.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
