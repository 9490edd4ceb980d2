"""Every target of the fuzzer by its name, which is also the name of its folder in the corpus."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import hostile_files
import hostile_requests

CORPUS: Final = Path(__file__).parent / "corpus"
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "pictures": hostile_files.picture,
    "csv": hostile_files.csv,
    "idx": hostile_files.idx,
    "zip": hostile_files.zip_file,
    "bodies": hostile_requests.bodies,
    "forms": hostile_requests.forms,
    "cursors": hostile_requests.cursors,
    "etags": hostile_requests.etags,
    "preferences": hostile_requests.preferences,
    "event-ids": hostile_requests.event_ids,
    "paths": hostile_requests.paths,
    "idempotency-keys": hostile_requests.idempotency_keys,
    "webhook-urls": hostile_requests.webhook_urls,
}
