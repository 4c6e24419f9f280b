"""The web role, put together: settings in, an ASGI app out."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from uuid import UUID

from fastapi import Depends, FastAPI
from sqlalchemy.exc import SQLAlchemyError

from telerehab.api import (
    access_log,
    alerts,
    appointments,
    break_glass,
    caseload,
    device_link,
    devices,
    duties,
    exercises,
    flags,
    goals,
    groups,
    health,
    help_calls,
    helpers,
    ledgers,
    live_sessions,
    live_socket,
    logins,
    messages,
    notices,
    organisations,
    own_logins,
    patient_imports,
    patient_records,
    patients,
    phone_links,
    plans,
    questionnaires,
    referrals,
    second_factors,
    self_reports,
    staff,
    tablet_pairing_codes,
    tablets,
    training_results,
    training_sessions,
)
from telerehab.api.dependencies import OWNER, enforce_policy
from telerehab.api.description import describe_app
from telerehab.api.guards import BodyLimit, Guards
from telerehab.api.parts import LiveSessionMaker, WebParts
from telerehab.api.problems import add_problem_handlers
from telerehab.api.routes import require_policies
from telerehab.auth.invitations import InvitationDesk
from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.logins import LoginDesk
from telerehab.auth.passwords import Passwords
from telerehab.auth.phone_links import PhoneLinkDesk
from telerehab.auth.pins import TabletPins
from telerehab.broker_changes import BrokerChanges
from telerehab.clock import Clock, SystemClock
from telerehab.db.changes import Change, Changes
from telerehab.db.engine import open_database
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.live.device_links import DeviceLinks
from telerehab.live.fanout import LiveFanout
from telerehab.live.help_calls import HelpCallWatch
from telerehab.live.media_client import MediaClient
from telerehab.settings import Settings
from telerehab.supervision import TaskSupervisor, in_thread
from telerehab.training_keeper import TrainingKeeper
from telerehab.web.pages import STATIC_FOLDER, make_assets, make_pages_router

_ROUTERS: Final = (
    access_log,
    alerts,
    appointments,
    break_glass,
    caseload,
    device_link,
    devices,
    duties,
    exercises,
    flags,
    goals,
    groups,
    health,
    help_calls,
    helpers,
    ledgers,
    live_sessions,
    live_socket,
    logins,
    messages,
    notices,
    organisations,
    own_logins,
    patient_imports,
    patient_records,
    patients,
    phone_links,
    plans,
    questionnaires,
    referrals,
    second_factors,
    self_reports,
    staff,
    tablet_pairing_codes,
    tablets,
    training_results,
    training_sessions,
)


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    changes: Changes | None = None,
    live_session_maker: LiveSessionMaker | None = None,
    passwords: Passwords | None = None,
    static_folder: Path = STATIC_FOLDER,
) -> FastAPI:
    """Return the app of the web role.

    Parameters
    ----------
    clock, changes, live_session_maker, passwords : optional
        Stand-ins in tests for the system's clock, the broker, the media worker and the costly hashes. With `changes`
        given there is no connection to the broker at all, so no live values either.
    static_folder : Path
        Where the front end's build lies.

    Raises
    ------
    MissingPolicyError
        A route or channel declares no policy.
    """

    app = FastAPI(
        title="telerehab",
        lifespan=_lifespan,
        dependencies=[Depends(enforce_policy)],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(Guards)  # added last, so it is the outer one
    add_problem_handlers(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    app.include_router(make_pages_router(static_folder))
    app.mount("/assets", make_assets(static_folder))
    require_policies(app)
    vars(app)["openapi"] = functools.cache(lambda: describe_app(app, app.routes))
    equip(
        app,
        settings,
        clock=clock,
        changes=changes,
        live_session_maker=live_session_maker,
        passwords=passwords,
    )
    return app


def equip(
    app: FastAPI,
    settings: Settings,
    *,
    clock: Clock | None = None,
    changes: Changes | None = None,
    live_session_maker: LiveSessionMaker | None = None,
    passwords: Passwords | None = None,
) -> None:
    """Say what an app opens at its next start, parameters as of `create_app`; its routes, which are costly, stay."""
    app.state.settings = settings
    app.state.open_parts = functools.partial(
        _open_parts,
        settings,
        clock=clock,
        changes=changes,
        live_session_maker=live_session_maker,
        passwords=passwords,
    )


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.open_parts() as (app.state.parts, app.state.live_fanout, app.state.device_links):
        yield


@contextlib.asynccontextmanager
async def _open_parts(
    settings: Settings,
    *,
    clock: Clock | None,
    changes: Changes | None,
    live_session_maker: LiveSessionMaker | None,
    passwords: Passwords | None,
) -> AsyncIterator[tuple[WebParts, LiveFanout, DeviceLinks]]:
    """Open what the web role consists of, and close all of it, also when the start fails midway."""
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        database = open_database(settings)
        stack.callback(database.close)
        media = MediaClient(settings, database, clock=clock)
        stack.push_async_callback(media.aclose)
        key_ring = await asyncio.to_thread(open_key_ring, settings)
        fanout = LiveFanout(settings, database=database, media=media, clock=clock, key_ring=key_ring)
        stack.push_async_callback(fanout.aclose)
        device_links = DeviceLinks(settings, database=database, clock=clock)
        stack.push_async_callback(device_links.aclose)
        heartbeat = Heartbeat(database.main, role=OWNER, clock=clock)
        stack.push_async_callback(_take_away, heartbeat)
        tasks = TaskSupervisor()
        if changes is None:
            broker_changes = changes = BrokerChanges(settings, clock=clock)
            stack.push_async_callback(asyncio.to_thread, broker_changes.close)
            fanout.start(tasks)
            device_links.start(tasks)
            tasks.start("broker connection", broker_changes.run)
            keeper = TrainingKeeper(settings, database=database, clock=clock, changes=changes)
            stack.push_async_callback(asyncio.to_thread, keeper.close)
            tasks.start("training keeper", keeper.run)
            tasks.start("help calls", HelpCallWatch(database, clock=clock, changes=changes).run)
        tasks.start("heartbeat", lambda: _keep_beating(heartbeat, device_links))
        stack.push_async_callback(tasks.close)
        pairing_code_key = settings.secret_for("pairing code")
        if passwords is None:
            passwords = await asyncio.to_thread(Passwords)
        login_desk = LoginDesk(
            database,
            clock=clock,
            passwords=passwords,
            key_ring=key_ring,
            code_key=pairing_code_key,
            announce_ended=functools.partial(_tell_of_ended_login, changes, fanout),
        )
        parts = WebParts(
            settings=settings,
            clock=clock,
            database=database,
            login_desk=login_desk,
            invitation_desk=InvitationDesk(database, clock=clock, key_ring=key_ring, changes=changes),
            tablet_pins=TabletPins(database, passwords=passwords, clock=clock),
            pairing_code_key=pairing_code_key,
            phone_link_desk=PhoneLinkDesk(database, clock=clock, key=settings.secret_for("phone link")),
            key_ring=key_ring,
            changes=changes,
            live_session_maker=live_session_maker or media,
            heartbeat=heartbeat,
            tasks=tasks,
        )
        yield parts, fanout, device_links


async def _keep_beating(heartbeat: Heartbeat, device_links: DeviceLinks) -> None:
    """Say every two seconds that the web role is well, and how late its event loop is."""
    await in_thread(heartbeat.register)
    while True:
        slept_from_s = time.monotonic()
        await asyncio.sleep(BEAT_INTERVAL_S)
        late_ms = round((time.monotonic() - slept_from_s - BEAT_INTERVAL_S) * 1_000)
        await in_thread(functools.partial(heartbeat.beat, {"loop_late_ms": late_ms, **device_links.status()}))


async def _take_away(heartbeat: Heartbeat) -> None:
    """Remove the role's row; where the database is gone, the row grows old by itself."""
    with contextlib.suppress(SQLAlchemyError):
        await in_thread(heartbeat.remove)


def _tell_of_ended_login(changes: Changes, fanout: LiveFanout, login_id: UUID) -> None:
    """Close the socket of a login that ended, here and in other web processes."""
    fanout.end_login(login_id)
    changes.announce(Change(table="login", id=login_id, version=1))
