"""`python -m kvit`: the same as the console command `kvit`."""

from __future__ import annotations

import sys

from kvit.cli import main

if __name__ == "__main__":
    sys.exit(main())
