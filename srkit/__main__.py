"""`python -m srkit COMMAND`."""

import sys

from srkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
