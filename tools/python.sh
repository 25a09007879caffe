#!/usr/bin/env bash
# Prints the Python to use: what PYTHON names, else the first on PATH that is 3.11 or newer.
set -euo pipefail

is_new_enough() {
  command -v "$1" > /dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null
}

if [ -n "${PYTHON:-}" ]; then
  is_new_enough "$PYTHON" || { echo "PYTHON=$PYTHON is not a Python 3.11 or newer." >&2; exit 1; }
  command -v "$PYTHON"
  exit
fi
for name in python3.11 python3 python3.12 python3.13 python; do
  if is_new_enough "$name"; then
    command -v "$name"
    exit
  fi
done
echo "haulier needs Python 3.11 or newer, and none was found on PATH." >&2
echo "Install it (Debian 12: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3 …" >&2
exit 1
