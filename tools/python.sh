#!/usr/bin/env bash
# Prints a Python of 3.11 or later, or says that there is none.
set -euo pipefail

for name in "${PYTHON3:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
echo "guestwire: Python 3.11 or later is needed; $(python3 --version 2>/dev/null || echo 'no python3') is what is here." >&2
exit 69
