"""`python -m mlr <command>`."""

import sys

from mlr.app.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
