#!/usr/bin/env bash
# Prints the Python to use: the first of these that is 3.11 or newer.
set -euo pipefail

for name in "${PYTHON:-}" python3.11 python3 python3.12 python3.13 python; do
  if [ -n "$name" ] && command -v "$name" > /dev/null \
    && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    command -v "$name"
    exit
  fi
done
echo "haulier needs Python 3.11 or newer, and none was found on PATH." >&2
echo "Install it (Debian 12: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3 …" >&2
exit 1
