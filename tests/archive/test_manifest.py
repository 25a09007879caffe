from __future__ import annotations

import hashlib
import os
import subprocess

from haulier.archive.manifest import manifest_checksum, manifest_lines

NAMES = [b"plain", b"two\nlines", b"back\\slash", b"-rf", b"\xff\xfe", b"a b", b"cr\r"]


def test_sha256sum_accepts_it(tmp_path):
    pairs = []
    for name in NAMES:
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(name)
        pairs.append((os.fsdecode(name), hashlib.sha256(name).hexdigest()))
    manifest = b"".join(manifest_lines(pairs))
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "-"], input=manifest, cwd=tmp_path, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count(b": OK") == len(NAMES)
    assert manifest_checksum(pairs) == "sha256:" + hashlib.sha256(manifest).hexdigest()


def test_the_order_of_the_pairs_does_not_matter():
    pairs = [("b", "1" * 64), ("a", "2" * 64), ("a/c", "3" * 64)]
    assert manifest_checksum(pairs) == manifest_checksum(pairs[::-1])
