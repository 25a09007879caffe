#!/usr/bin/env bash
# The archive journey on made-up media: everything happens in ./demo-data, nothing leaves it.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/.venv/bin
demo=$PWD/demo-data
if [ -e "$demo" ] && [ ! -e "$demo/.made-by-demo" ]; then
  echo "$demo was not made by the demo: move it away first." >&2
  exit 1
fi
rm -rf "$demo"
mkdir -p "$demo/media"
touch "$demo/.made-by-demo"
cd "$demo"

say() { printf '\n%s\n' "$*"; }
haulier() { # with nothing of the user's own settings, so that no bucket of theirs is touched
  printf '$ haulier %s\n' "$*"
  env -i PATH="$PATH" HOME="$demo" TERM="${TERM:-dumb}" LANG="${LANG:-C.UTF-8}" \
    HAULIER_DATA="$demo/data" MGMT_LOCAL_DIR="$demo/media" "$bin/haulier" "$@"
}

say "A folder of media, as a card out of a camera might hold:"
"$bin/python" ../tools/make_demo_media.py media
cp -r media/holiday pictures-before

say "Pack, upload and verify each of its entries; no S3 is configured, so a local store takes them."
haulier upload all

say "What was done:"
haulier history

say "Ask the store again, and read everything back:"
haulier verify --all --deep

say "What is in one of the archives:"
haulier ls holiday.tar.gz

say "Bring back one picture alone, and compare it with what it was:"
haulier restore holiday.tar.gz --member beach-3.png --out restored
cmp restored/holiday/beach-3.png pictures-before/beach-3.png
rm -r pictures-before
echo "Equal."

say "The sources are out of the way, in media/completed:"
ls media/completed

cat <<END

Try next, from $PWD:
  . ../.venv/bin/activate
  export HAULIER_DATA=\$PWD/data MGMT_LOCAL_DIR=\$PWD/media
  haulier files                            every file at every place it was
  haulier upload ~/Pictures --dry-run      what would be done, without doing it
  AWS_S3_BUCKET=your-bucket haulier doctor is your bucket ready to take archives?
  haulier --help
END
