"""What the thread-based roles share: their log on stderr, and the wish to end."""

import gc
import json
import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import Final

from telerehab.settings import Settings

_TALKATIVE: Final = ("aioice", "httpx", "httpx2")
"""Libraries that log addresses of browsers, or every request, as information."""


class OneLineJson(logging.Formatter):
    """One JSON object per record, on one line."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(settings: Settings, *, role: str) -> None:
    """Log to stderr: for people on a terminal, else one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)-7s {role} %(name)s: %(message)s"))
    else:
        handler.setFormatter(OneLineJson(role))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)


def settle() -> None:
    """Call it after start-up: what was made so far stays, and a full collection looks at the rest only.

    It holds up every thread; over all modules and routes it takes a tenth of a second, as long as a tick.
    """
    gc.collect()
    gc.freeze()


def wish_to_end() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; call it in the main thread."""
    wish = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wish.set())
    return wish
