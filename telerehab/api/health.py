"""Whether this process lives, and whether the whole is ready for people."""

import functools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from telerehab.api.dependencies import Parts
from telerehab.api.models import Answer
from telerehab.api.parts import WebParts
from telerehab.auth.policies import PUBLIC, declares
from telerehab.clock import utc_now
from telerehab.db.engine import reading
from telerehab.db.migrate import is_database_at_head
from telerehab.db.tables import Job, JobState, Worker
from telerehab.db.workers import workers_alive

router = APIRouter(tags=["health"])

EXPECTED_ROLES: Final = ("ingest", "jobs", "media", "web")
DISK_FREE_SHARE_MIN: Final = 0.1
DISK_FREE_BYTES_MIN: Final = 5 * 1024**3
"""A large disk is not full at 90 %: both must be undercut."""


class Readiness(Answer):
    """Each part by name: `ok`, or what is wrong with it."""

    is_ready: bool
    parts: dict[str, str]


@router.get("/healthz")
@declares(PUBLIC)
async def get_health() -> Mapping[str, str]:
    """Answer as long as this process can."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
@declares(PUBLIC)
async def get_readiness(parts: Parts, response: Response) -> object:
    """Name every part and what is wrong with it; 503 when anything is."""
    found = dict(await parts.readiness.look(functools.partial(_look_at_stores, parts)))
    found["broker"] = "ok" if parts.changes.is_connected else "no connection"
    for name in sorted(parts.tasks.failing):
        found[f"task {name}"] = "failed, is started again"
    readiness = Readiness(is_ready=all(state == "ok" for state in found.values()), parts=found)
    if not readiness.is_ready:
        response.status_code = 503
    return readiness


def _look_at_stores(parts: WebParts) -> dict[str, str]:
    """Return the state of what blocks: databases, the roles' rows, the disk."""
    found = {"database": "ok", "hot database": "ok", "migration": "ok"}
    found.update({f"role {role}": "no heartbeat" for role in EXPECTED_ROLES})
    for name, engine in (("database", parts.database.main), ("hot database", parts.database.hot)):
        try:
            with reading(engine) as db:
                db.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            found[name] = f"cannot be read: {type(error).__name__}"
    if not is_database_at_head(parts.database):
        found["migration"] = "not the version of this program: run `telerehab migrate`"
    try:
        with reading(parts.database.main) as db:
            for worker in workers_alive(db, now=utc_now(parts.clock)):
                if found.get(f"role {worker.role}") in (None, "no heartbeat", "ok"):  # of several the worst is told
                    found[f"role {worker.role}"] = _role_state(worker)
            for job in db.exec(select(Job).where(col(Job.state) == JobState.HINDERED.value)):
                found[f"job {job.kind}"] = "cannot do its work; the log of the role jobs says why"
    except SQLAlchemyError:
        pass  # the database is named already
    found["disk"] = _disk_state(parts.settings.data_dir)
    return found


def _role_state(worker: Worker) -> str:
    """Return what a role that lives says of itself."""
    if worker.status.get("storing", True) is not True:
        return "stores nothing; devices keep what they have"
    return "ok"


def _disk_state(folder: Path) -> str:
    """Return whether there is room for data."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    is_short = usage.free < DISK_FREE_SHARE_MIN * usage.total and usage.free < DISK_FREE_BYTES_MIN
    return "less than a tenth is free" if is_short else "ok"
