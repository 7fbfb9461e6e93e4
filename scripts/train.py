"""Train one configuration, or with -m every combination of several.

python scripts/train.py head=sigmoid loss=se
python scripts/train.py --help
"""

import atexit
import gc
import signal
import sys

INTERRUPTED = 130

if __name__ == "__main__":
    # what is imported makes half a million objects that live to the end: to look through them
    # for cycles again and again, and once more at the exit, takes a quarter of a short command
    gc.set_threshold(200_000, 20, 50)
    atexit.register(gc.freeze)
    # being told to end is as good as Ctrl-C: the run's folder is closed properly
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from mlr.app.command import main

        sys.exit(main())
    except KeyboardInterrupt:  # before there was anything to keep
        sys.exit(INTERRUPTED)
