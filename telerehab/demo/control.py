"""A page of the demonstration itself, on the loopback only: one button for each scene that somebody may want to see.

The address carries a token that no other page knows, so a page from elsewhere that posts here does nothing.
"""

import asyncio
import contextlib
import hmac
import html
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from telerehab.demo.captions import control_lines
from telerehab.demo.intake_scene import IntakeScene

LOOPBACK: Final = "127.0.0.1"
REFRESH_S: Final = 2
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{refresh}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body{{font:1.25rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}}
button{{font:inherit;padding:.75rem 1.5rem;min-height:3rem;border:2px solid;border-radius:.5rem}}
button:enabled{{border-color:#8a1c1c;background:#8a1c1c;color:#fff}}
</style></head>
<body><main><h1>{title}</h1><p>{text}</p>
<form method="post" action="kill-intake"><button data-action="kill-intake"{disabled}>{button}</button></form>
<ul role="status">{kills}</ul></main></body></html>
"""


def make_control_app(scene: IntakeScene, *, token: str) -> Starlette:
    """Return the page and its one button, under `/<token>/`."""
    going: set[asyncio.Task[bool]] = set()

    async def show(request: Request) -> Response:
        _check(request)
        lines = control_lines(scene.kills)
        return HTMLResponse(
            _PAGE.format(
                refresh=REFRESH_S,
                title=html.escape(lines.title),
                text=html.escape(lines.text),
                button=html.escape(lines.button),
                disabled=" disabled" if scene.is_killed else "",
                kills="".join(f"<li>{html.escape(line)}</li>" for line in lines.kills),
            ),
            headers=_HEADERS,
        )

    async def kill(request: Request) -> Response:
        _check(request)
        task = asyncio.create_task(scene.kill())
        going.add(task)
        task.add_done_callback(going.discard)
        return RedirectResponse(f"/{token}/", status_code=303, headers=_HEADERS)

    def _check(request: Request) -> None:
        if not hmac.compare_digest(request.path_params["token"].encode(), token.encode()):
            raise HTTPException(404)

    app = Starlette(
        routes=[Route("/{token}/", show, methods=["GET"]), Route("/{token}/kill-intake", kill, methods=["POST"])]
    )
    app.router.redirect_slashes = False
    return app


@contextlib.asynccontextmanager
async def serve_control(scene: IntakeScene) -> AsyncIterator[str]:
    """Serve the page on a free port of the loopback; give its address."""
    token = secrets.token_urlsafe(16)
    with socket.create_server((LOOPBACK, 0)) as listener:
        config = uvicorn.Config(
            make_control_app(scene, token=token),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = _QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}/{token}/"
        finally:
            server.should_exit = True
            await serving


class _QuietServer(uvicorn.Server):
    """uvicorn that leaves the signals to the demonstration."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
