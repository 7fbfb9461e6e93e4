"""Train one configuration, or with -m every combination of several.

python scripts/train.py head=sigmoid loss=se
python scripts/train.py --help
"""

import signal
import sys

INTERRUPTED = 130

if __name__ == "__main__":
    # being told to end is as good as Ctrl-C: the run's folder is closed properly
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from mlr.app.command import main

        sys.exit(main())
    except KeyboardInterrupt:  # before there was anything to keep
        sys.exit(INTERRUPTED)
