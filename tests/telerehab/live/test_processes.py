"""Broker, media and web as real supervised processes: each is killed, and the live session goes on."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from telerehab.errors import MediaUnavailableError
from telerehab.live.store import read_workers
from telerehab.supervision import Supervisor, role_child
from tests.telerehab.live.clinic import Clinic, open_clinic, until, unused_port

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

START_S = 40.0


@contextlib.asynccontextmanager
async def run_roles(tmp_path: Path, template: Path) -> AsyncIterator[tuple[Clinic, Supervisor]]:
    """Run the roles as `telerehab serve` does, and wait until a live session can be made."""
    provisioned = open_clinic(tmp_path, template, with_broker=False, with_worker=False, with_web=False)
    async with provisioned as clinic:
        settings = clinic.settings.model_copy(update={"web_port": unused_port()})
        clinic.web_port = settings.web_port
        children = [role_child(settings, role, output=tmp_path / f"{role}.log") for role in ("broker", "media", "web")]
        async with Supervisor(children, restart_delay_s=0.2) as supervisor:
            await until_web_answers(clinic)
            yield clinic, supervisor


async def until_web_answers(clinic: Clinic) -> None:
    async with asyncio.timeout(START_S), httpx2.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if (await http.get(f"http://127.0.0.1:{clinic.web_port}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)


async def test_sigkill_of_media_broker_and_web_ends_no_live_session(tmp_path: Path, template: Path) -> None:
    async with run_roles(tmp_path, template) as (clinic, supervisor):
        async with asyncio.timeout(START_S):
            live_session = await create_when_media_is_up(clinic)
        therapist, patient = await clinic.page(clinic.therapist_id), await clinic.page(clinic.patient_ids[1])
        await therapist.ask("join", live_session)
        seat_id = (await patient.ask("join", live_session))["participant"]
        await until(lambda: therapist.participant("patient", 1).get("state") == "admitted", what="admitted")
        slots, epoch = therapist.state["slots"], therapist.state["media_epoch"]

        os.kill(supervisor.pids()["media"], signal.SIGKILL)
        await until(
            lambda: patient.state.get("media_epoch", epoch) != epoch, what="told of the new worker", wait_s=START_S
        )
        assert (await patient.ask("help", live_session, on=True))["type"] == "reply"
        await until(lambda: therapist.participant("patient", 1)["help_since"], what="help", wait_s=START_S)
        assert therapist.state["slots"] == slots
        assert (therapist.byes, patient.byes) == ([], [])

        os.kill(supervisor.pids()["broker"], signal.SIGKILL)
        assert (await patient.ask("help", live_session, on=False))["type"] == "reply"
        await until(lambda: not therapist.participant("patient", 1)["help_since"], what="help taken back")

        last = therapist.state["event_sequence"]
        os.kill(supervisor.pids()["web"], signal.SIGKILL)
        await asyncio.gather(therapist.closed(), patient.closed())
        await asyncio.gather(therapist.aclose(), patient.aclose())
        await until_web_answers(clinic)
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[1]) as patient,
        ):
            await therapist.ask("join", live_session)
            assert (await patient.ask("join", live_session))["participant"] == seat_id
            await until(lambda: therapist.state.get("slots") == slots, what="slots")
            await patient.ask("text", live_session, text="her igen")
            await therapist.ask("replay", live_session, after=last)
            await until(lambda: [e for e in therapist.events if e["kind"] == "text"], what="text")
            replayed = sorted({event["sequence"] for event in therapist.events})
            assert replayed == list(range(last + 1, last + 1 + len(replayed)))


async def test_sigterm_ends_the_media_role_cleanly_and_takes_its_row_away(tmp_path: Path, template: Path) -> None:
    quiet = open_clinic(tmp_path, template, with_broker=False, with_worker=False, with_web=False)
    async with quiet as clinic:
        child = role_child(clinic.settings, "media")
        process = await asyncio.create_subprocess_exec(*child.arguments, env={**os.environ, **child.environment})
        try:
            await until(lambda: read_workers(clinic.database), what="registered", wait_s=START_S)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert read_workers(clinic.database) == []


async def create_when_media_is_up(clinic: Clinic) -> UUID:
    while True:
        with contextlib.suppress(MediaUnavailableError):
            return await clinic.create_live_session()
