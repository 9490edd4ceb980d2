"""Start the product, let schemathesis try it, and end it: `python tests/contract/against_product.py [options]`.

The options are those of `schemathesis run`.
"""

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from processes import BIN, ROOT, RedisServer, Web, eventually, worker


def main(options: list[str]) -> int:
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="hemline-contract-")))
        redis = RedisServer(folder / "redis")
        started.callback(redis.stop)
        environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_MAX_WAIT": "2"}
        started.callback(worker(folder / "worker.log", environ).stop)
        web = Web(folder / "web.log", environ)
        started.callback(web.stop)
        eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
        command = [str(BIN / "schemathesis"), "run", f"{web.http.url}/openapi.json", *options]
        status = subprocess.run(command, cwd=ROOT).returncode
        if status:
            print(web.output()[-5000:], file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
