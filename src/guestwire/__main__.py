"""``python -m guestwire``, and the program `guestwire`: the command line."""

import signal

# Until a command has begun there is nothing to undo, and a Ctrl-C ends it without a traceback of what Python loads.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from guestwire.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
