"""``python -m guestwire``: the command line."""

from guestwire.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
