#!/usr/bin/env bash
# Sees to the programs that pip can't bring: `system.sh test` or `system.sh bench`.
# Where apt-get may be used it installs what is missing, and starts no service by it;
# elsewhere it says what is missing and fails.
set -euo pipefail

purpose=${1:?test or bench}

missing=()
command -v make > /dev/null || missing+=(make)
python=$("$(dirname "$0")/python.sh" 2> /dev/null) || missing+=(python3)
[ -n "$python" ] && "$python" -c 'import ensurepip' 2> /dev/null || missing+=(python3-venv)
case $purpose in
  test)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null \
      || command -v initdb > /dev/null || missing+=(postgresql)
    command -v ffmpeg > /dev/null || missing+=(ffmpeg)
    command -v npm > /dev/null || missing+=(nodejs npm)
    command -v chromium > /dev/null || missing+=(chromium)
    command -v curl > /dev/null || missing+=(curl)
    command -v aria2c > /dev/null || missing+=(aria2)
    command -v nginx > /dev/null || missing+=(nginx-light)
    command -v redis-server > /dev/null || missing+=(redis-server)
    compgen -G '/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server' > /dev/null || missing+=(rabbitmq-server)
    command -v espeak-ng > /dev/null || missing+=(espeak-ng)
    command -v zstd > /dev/null || missing+=(zstd)
    compgen -G '/usr/sbin/clamd' > /dev/null || command -v clamd > /dev/null || missing+=(clamav-daemon)
    compgen -G '/usr/lib/*/libmagic.so.1' > /dev/null || missing+=(libmagic1)
    ;;
  bench)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null \
      || command -v initdb > /dev/null || missing+=(postgresql)
    command -v redis-server > /dev/null || missing+=(redis-server)
    command -v igzip > /dev/null || missing+=(isal)
    command -v ffmpeg > /dev/null || missing+=(ffmpeg)
    command -v nginx > /dev/null || missing+=(nginx-light)
    command -v espeak-ng > /dev/null || missing+=(espeak-ng)
    compgen -G '/usr/lib/*/libmagic.so.1' > /dev/null || missing+=(libmagic1)
    command -v nginx > /dev/null || missing+=(nginx-light)
    command -v npm > /dev/null || missing+=(nodejs npm)
    command -v cc > /dev/null || missing+=(gcc libc6-dev)
    ;;
  *) echo "usage: system.sh test|bench" >&2; exit 2 ;;
esac
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get > /dev/null || ! "${as_root[@]}" true 2> /dev/null; then
  echo "Missing for 'make $purpose': ${missing[*]} (names of Debian packages)." >&2
  echo "Install them and run it again; with root, or sudo without a password, it installs them itself." >&2
  exit 1
fi

echo "Installing ${missing[*]}."
log=$(mktemp)
no_cluster=/etc/postgresql-common/createcluster.d/haulier.conf
no_daemons=/usr/sbin/policy-rc.d
made=("$no_cluster")
[ -e "$no_daemons" ] || made+=("$no_daemons")
trap '"${as_root[@]}" rm -f "${made[@]}"; rm -f "$log"' EXIT
# Without these the packages make a database cluster and start daemons of their own.
"${as_root[@]}" mkdir -p "$(dirname "$no_cluster")"
echo 'create_main_cluster = false' | "${as_root[@]}" tee "$no_cluster" > /dev/null
if [ ${#made[@]} -gt 1 ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$no_daemons" > /dev/null
  "${as_root[@]}" chmod 755 "$no_daemons"
fi

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >> "$log" 2>&1 < /dev/null; }
if ! { apt update && apt install --yes --no-install-recommends "${missing[@]}"; }; then
  cat "$log" >&2
  echo "apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
