"""A folder to a verified archive, beside the tools people use today, on the same data.

S3 is SeaweedFS on loopback; its own CPU is not counted. Every contender leaves an object whose
size is checked. The tools do less: no record, no resume, no check of what the store has. The first
row only sends: it says what the store itself takes, which is in everybody's wall time.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from haulier.core.units import parse_size
from haulier.testing.seaweed import SeaweedServer
from measure import Contender, compare, print_table

BIN = Path(sys.executable).parent
MEDIA_FILE_BYTES = 64 << 20
TEXT_FILE_BYTES = 8 << 20


def make_media(folder: Path, size_bytes: int) -> None:
    """Write random bytes in files of 64 MiB: what cameras leave is as incompressible."""
    folder.mkdir(parents=True)
    for number in range(-(-size_bytes // MEDIA_FILE_BYTES)):
        count = min(MEDIA_FILE_BYTES, size_bytes - number * MEDIA_FILE_BYTES)
        (folder / f"clip-{number:03}.mp4").write_bytes(os.urandom(count))


def make_text(folder: Path, size_bytes: int) -> None:
    """Write source lines with some noise, which squeeze to about a fifth."""
    folder.mkdir(parents=True)
    dice = random.Random(1)
    lines = [
        line
        for path in sorted(Path(os.__file__).parent.glob("*.py"))
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    written = 0
    while written < size_bytes:
        chosen = dice.choices(lines, k=TEXT_FILE_BYTES // 36)
        noisy = [line[:-1] + b" # %x\n" % dice.getrandbits(24) if i % 8 == 0 else line
                 for i, line in enumerate(chosen)]  # fmt: skip
        body = b"".join(noisy)[: size_bytes - written]
        (folder / f"module-{written // TEXT_FILE_BYTES:04}.py").write_bytes(body)
        written += len(body)


def s3_contenders(
    kind: str, source: Path, work: Path, bucket: str, endpoint: str
) -> list[Contender]:
    key = f"s3://{bucket}/{kind}"
    tmp = work / "tmp.tar.gz"
    aws = f"{BIN}/aws --endpoint-url {endpoint}"
    s5 = f"{BIN}/s5cmd --endpoint-url {endpoint}"
    tar = f"tar -C {source.parent} -c"
    head = f"{aws} s3api head-object --bucket {bucket} --key {kind}"

    def fresh() -> None:
        tmp.unlink(missing_ok=True)

    packed = work / f"{kind}.packed"

    def pack() -> None:
        if not packed.exists():
            subprocess.run(f"{tar} {source.name} | igzip -1 > {packed}", shell=True, check=True)

    return [
        Contender("s5cmd cp of what is packed already", f"{s5} cp -c 8 -p 16 {packed} {key}-e.tar.gz", pack),
        Contender(
            "tar czf + sha256sum + aws s3 cp + head-object",
            f"{tar} -zf {tmp} {source.name}; sha256sum {tmp}; "
            f"{aws} s3 cp --quiet {tmp} {key}-a.tar.gz; {head}-a.tar.gz",
            fresh,
        ),
        Contender(
            "tar | igzip -1 + sha256sum + s5cmd cp",
            f"{tar} {source.name} | igzip -1 > {tmp}; sha256sum {tmp}; "
            f"{s5} cp -c 8 -p 16 {tmp} {key}-b.tar.gz",
            fresh,
        ),
        Contender(
            "rclone archive create",
            f"{BIN}/rclone archive create --format tar.gz --s3-chunk-size 16M "
            f"--s3-upload-concurrency 8 {source} W:{bucket}/{kind}-c.tar.gz",
            fresh,
        ),
        Contender(
            "haulier upload",
            f"{BIN}/haulier upload {source} --to {key}-d --force --no-complete --data {work}/data",
            fresh,
        ),
    ]  # fmt: skip


def local_contenders(source: Path, work: Path) -> list[Contender]:
    tmp = work / "local.tar.gz"

    def fresh() -> None:
        tmp.unlink(missing_ok=True)
        shutil.rmtree(work / "store", ignore_errors=True)

    return [
        Contender(
            "tar | igzip -1 > file; sha256sum; sync",
            f"tar -C {source.parent} -c {source.name} | igzip -1 > {tmp}; "
            f"sha256sum {tmp}; sync {tmp}",
            fresh,
        ),
        Contender(
            "haulier upload",
            f"{BIN}/haulier upload {source} --to file://{work}/store --force --no-complete "
            f"--data {work}/data",
            fresh,
        ),
    ]


def environment(server: SeaweedServer, work: Path) -> dict[str, str]:
    config = work / "aws-config"
    config.write_text(
        "[default]\ns3 =\n  multipart_chunksize = 16MB\n  multipart_threshold = 16MB\n"
        "  max_concurrent_requests = 8\n  addressing_style = path\n"
    )
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "AWS_CONFIG_FILE": str(config),
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "RCLONE_CONFIG_W_TYPE": "s3",
        "RCLONE_CONFIG_W_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_W_FORCE_PATH_STYLE": "true",
        "RCLONE_CONFIG_W_ENDPOINT": server.endpoint_url,
        "RCLONE_CONFIG_W_ACCESS_KEY_ID": server.access_key_id,
        "RCLONE_CONFIG_W_SECRET_ACCESS_KEY": server.secret_access_key,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1G", help="of each kind of data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="a part of the contenders' names")
    arguments = parser.parse_args()
    size_bytes = parse_size(arguments.size)
    with tempfile.TemporaryDirectory(prefix="haulier-bench-") as directory:
        work = Path(directory)
        make_media(work / "source" / "media", size_bytes)
        make_text(work / "source" / "text", size_bytes)
        with SeaweedServer(work / "seaweed") as server:
            env = environment(server, work)
            for kind in ("media", "text"):
                source = work / "source" / kind
                bucket = server.make_bucket()
                for title, contenders in (
                    (f"{arguments.size} of {kind} -> tar.gz in S3",
                     s3_contenders(kind, source, work, bucket, server.endpoint_url)),
                    (f"{arguments.size} of {kind} -> tar.gz in the local store",
                     local_contenders(source, work)),
                ):  # fmt: skip
                    chosen = [
                        c for c in contenders if not arguments.only or arguments.only in c.name
                    ]
                    costs = compare(chosen, rounds=arguments.rounds, env=env, cwd=work)
                    print_table(title, costs, "haulier upload")


if __name__ == "__main__":
    main()
