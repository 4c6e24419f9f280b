"""The pages of the faces, as the front end's build left them in `static/`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from telerehab.api.dependencies import MaybeReader
from telerehab.auth.policies import PUBLIC, declares
from telerehab.auth.reader import Reader, ReaderRole

STATIC_FOLDER: Final = Path(__file__).parent / "static"
PAGES: Final = ("enter.html", "therapist.html", "patient.html", "office.html", "sensor.html")
MISSING: Final = (
    "The pages of telerehab have not been built: run `make install` in the source folder, or install the wheel, "
    "then start again.\n"
)
_SEE_OTHER: Final = 303
_HOMES: Final[Mapping[ReaderRole, str]] = MappingProxyType(
    {
        "therapist": "/therapist",
        "team_manager": "/office",
        "admin": "/office",
        "auditor": "/office",
        "tablet": "/patient",
        "helper": "/patient",
    }
)


def missing_pages(folder: Path = STATIC_FOLDER) -> Sequence[str]:
    """Return the pages that the build has not left; empty when all are there."""
    return [page for page in PAGES if not (folder / page).is_file()]


def make_pages_router(folder: Path = STATIC_FOLDER) -> APIRouter:
    """Return the routes of the pages.

    A page holds nothing of anybody; it asks the API, which checks. The redirects only spare a detour.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    @declares(PUBLIC)
    def show_start(reader: MaybeReader) -> Response:
        """Send a browser to its face."""
        return RedirectResponse(_home_of(reader), _SEE_OTHER)

    @router.get("/enter")
    @declares(PUBLIC)
    def show_enter() -> Response:
        """Show the page that logs in."""
        return _page(folder, "enter.html")

    @router.get("/therapist")
    @declares(PUBLIC)
    def show_therapist(reader: MaybeReader) -> Response:
        """Show the therapist's live room."""
        return _page_for(folder, "/therapist", reader)

    @router.get("/patient")
    @declares(PUBLIC)
    def show_patient(reader: MaybeReader) -> Response:
        """Show the exercise page of patients and helpers."""
        return _page_for(folder, "/patient", reader)

    @router.get("/office")
    @declares(PUBLIC)
    def show_office(reader: MaybeReader) -> Response:
        """Show the page of team managers, administrators and auditors."""
        return _page_for(folder, "/office", reader)

    @router.get("/sensor")
    @declares(PUBLIC)
    def show_sensor() -> Response:
        """Show the page that makes a telephone a sensor."""
        return _page(folder, "sensor.html")

    return router


def make_assets(folder: Path = STATIC_FOLDER) -> StaticFiles:
    """Return what serves scripts, styles, fonts and sounds; nothing in there is about anybody."""
    assets = StaticFiles(directory=folder / "assets", check_dir=False)
    assets.config_checked = True  # a folder that the build has not made is "not found", no fault of the server
    return declares(PUBLIC)(assets)


def _home_of(reader: Reader | None) -> str:
    """Return the page of a reader."""
    if reader is None or not reader.is_full:
        return "/enter"
    return _HOMES[reader.role]


def _page_for(folder: Path, path: str, reader: Reader | None) -> Response:
    """Return the page to its reader, and send others to theirs."""
    home = _home_of(reader)
    return _page(folder, f"{path[1:]}.html") if home == path else RedirectResponse(home, _SEE_OTHER)


def _page(folder: Path, name: str) -> Response:
    """Return a page, or one plain sentence where it is missing."""
    path = folder / name
    return FileResponse(path) if path.is_file() else PlainTextResponse(MISSING, 503)
