"""Look for input that the product does not take calmly, guided by the lines and branches of it that were reached.

`make fuzz` calls `python tests/fuzz/fuzz.py TARGET FOLDER [options of libFuzzer]` for every target. FOLDER keeps what
led to something new, for the next run, and beside it what ended badly: once that is mended it belongs into the corpus
of the target, so that every `make test` tries it again.
"""

import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import atheris
from redis import Redis

# Pillow's readers, ZIP files and the forms of werkzeug are Python too, and decide how far a file gets.
sys.modules.pop("zipfile", None)  # what is imported already is not instrumented any more
_CODE = ["api", "ml", "workers", "PIL", "zipfile", "werkzeug.formparser", "werkzeug.sansio"]
with atheris.instrument_imports(include=_CODE):
    from targets import CORPUS, TARGETS

_INNER = "HEMLINE_FUZZES"
_HEAD = b"\x89PNG\r\n\x1a\n"


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's own mutation, but a PNG file gets right checksums again: no mutation would ever guess them."""
    mutated = atheris.Mutate(data, max_size)
    # A few stay wrong, or nobody would try what happens then.
    return sealed(mutated)[:max_size] if seed % 16 and mutated.startswith(_HEAD) else mutated


def sealed(png: bytes) -> bytes:
    """A PNG file whose chunks have their right checksums, as far as it has chunks."""
    content = bytearray(png)
    place = len(_HEAD)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(content)


def main() -> int:
    """Fuzz in a process of its own: libFuzzer ends it without a word to Python, and something has to tidy up."""
    with tempfile.TemporaryDirectory(prefix="hemline-fuzz-") as folder:
        environ = {**os.environ, "TMPDIR": folder, _INNER: "1"}
        try:
            return subprocess.run([sys.executable, *sys.argv], env=environ).returncode
        finally:
            for socket in Path(folder).glob("*/redis/redis.sock"):
                with Redis(unix_socket_path=str(socket)) as redis:
                    redis.shutdown(nosave=True)


def fuzz() -> None:
    """Fuzz until something is found or the time is over; never comes back."""
    name, folder, *options = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    TARGETS[name](b"")  # what is started for it takes its time once
    limits = ["-timeout=120", "-rss_limit_mb=1024", "-malloc_limit_mb=512", f"-artifact_prefix={folder}-"]
    # libFuzzer reads all folders that it is given and writes to the first.
    atheris.Setup(
        [sys.argv[0], *limits, *options, folder, str(CORPUS / name)],
        TARGETS[name],
        custom_mutator=mutate if name == "pictures" else None,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz() if _INNER in os.environ else sys.exit(main())
