#!/usr/bin/env bash
# Writes the lock files: names, versions, hashes and markers for Python 3.11 and later, and no
# address of any index. Pins that still fit are kept; `UPGRADE=1 make lock` takes the newest.
# Behind a proxy with a certificate of its own, set SSL_CERT_FILE.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${1:-python3}" -m venv "$scratch"
"$scratch/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION"

lock() { # FILE ARGUMENT...: resolve the package with all its extras and the groups named
  local file=$1
  shift
  "$scratch/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
    --extra all --group build --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} --output-file "$file" "$@"
  echo "$file: $(grep --count '==' "$file") packages"
}

lock requirements.lock
lock requirements-dev.lock --group dev --constraint requirements.lock
lock requirements-bench.lock --group bench --constraint requirements.lock
