"""The role web: pages, API and the one WebSocket of each login, in one process."""

import logging
import signal
import socket
from typing import Final

import uvicorn

from telerehab.api.private_log import WithoutValues
from telerehab.app import create_app
from telerehab.db.engine import open_database
from telerehab.db.migrate import is_database_at_head
from telerehab.roles.process import set_up_logging, settle
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS
from telerehab.web.connections import BoundedHttpConnection, BoundedWebSocketConnection, allow_many_connections

log = logging.getLogger(__name__)

WS_MAX_BYTES: Final = 64 * 1024
WS_PING_INTERVAL_S: Final = 5.0
WS_PING_TIMEOUT_S: Final = 15.0
"""A backstop: our own heartbeat marks a silent peer after three seconds and closes nothing that only stalls."""
SHUTDOWN_S: Final = 3
_BACKLOG: Final = 2_048


def run(settings: Settings) -> int:
    """Serve people until SIGTERM or SIGINT; return the exit code."""
    set_up_logging(settings, role="web")
    for name in ("uvicorn.error", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)  # their lines hold addresses of people's browsers
    logging.getLogger("uvicorn.error").addFilter(WithoutValues())
    if not _is_database_ready(settings):
        log.error("The database has another version than this program: run `telerehab migrate`")
        return EXIT_SETTINGS
    try:
        listener = _listen(settings.web_host, settings.web_port)
    except OSError as error:
        log.error("Cannot listen on %s port %d: %s", settings.web_host, settings.web_port, error.strerror)
        return EXIT_SETTINGS
    allow_many_connections()
    with listener:
        log.info("serving on %s://%s:%d", settings.scheme, *listener.getsockname()[:2])
        server = uvicorn.Server(_config(settings))
        settle()
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again after a clean end
            signal.signal(number, signal.SIG_IGN)
        server.run(sockets=[listener])
    return 0 if server.started else 1


def _is_database_ready(settings: Settings) -> bool:
    """Return whether the database has the version of this program."""
    database = open_database(settings)
    try:
        return is_database_at_head(database)
    finally:
        database.close()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _config(settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves our app."""
    return uvicorn.Config(
        create_app(settings),
        http=BoundedHttpConnection,
        ws=BoundedWebSocketConnection,
        ws_max_size=WS_MAX_BYTES,
        ws_ping_interval=WS_PING_INTERVAL_S,
        ws_ping_timeout=WS_PING_TIMEOUT_S,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_S,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
