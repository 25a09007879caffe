#!/usr/bin/env bash
# Makes .venv unless a sound one is there.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -x .venv/bin/python ] && .venv/bin/python -c 'import sys, pip' 2> /dev/null; then
  exit
fi
python=$(tools/python.sh)
if ! "$python" -c 'import ensurepip' 2> /dev/null; then
  echo "$python can't make virtual environments: its ensurepip is missing." >&2
  echo "On Debian and Ubuntu: apt-get install python3-venv" >&2
  exit 1
fi
echo "Making .venv with $("$python" --version); this takes a minute."
"$python" -m venv --clear .venv
