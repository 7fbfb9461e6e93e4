"""Train one configuration, or with -m every combination of several.

python scripts/train.py head=sigmoid loss=se
python scripts/train.py --help
"""

import sys

from mlr.app.command import main

if __name__ == "__main__":
    sys.exit(main())
