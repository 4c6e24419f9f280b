"""What the socket refuses, bounds and outlives."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from sessions.participant import LINK_LOST_S
from telerehab.api import live_socket
from telerehab.live.outbox import MessageAllowance
from tests.telerehab.live.clinic import BEAT_S, open_clinic, until

pytestmark = pytest.mark.anyio


async def test_a_foreign_page_or_a_browser_without_login_is_refused_before_accept(
    tmp_path: Path, template: Path
) -> None:
    async with open_clinic(tmp_path, template, with_broker=False, with_worker=False) as clinic:
        own = f"127.0.0.1:{clinic.web_port}"
        foreign = ("http://evil.example", "http://127.0.0.1:1", f"https://{own}", "null", "http://x.localhost", "x")
        strangers: tuple[dict[str, str], ...] = (
            {},
            {"Cookie": "__Host-telerehab=" + "A" * 43},
            {"Cookie": "__Host-telerehab=x"},
        )
        for origin in foreign:
            with pytest.raises(InvalidStatus) as caught:
                await clinic.page(clinic.therapist_id, origin=origin)
            assert (origin, caught.value.response.status_code) == (origin, 403)
        for headers in strangers:
            with pytest.raises(InvalidStatus) as caught:
                await clinic.page(clinic.therapist_id, headers=headers)
            assert caught.value.response.status_code == 401
        await (await clinic.page(clinic.therapist_id)).aclose()


async def test_a_message_that_is_too_large_or_binary_closes_the_socket(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False, with_worker=False) as clinic:
        messages: tuple[tuple[str | bytes, int], ...] = (("x" * 70_000, 1009), (b"x", 1003))
        for message, code in messages:
            page = await clinic.page(clinic.therapist_id)
            await page.socket.send(message)
            await page.closed()
            assert page.close_code == code
            await page.aclose()


async def test_garbage_is_refused_message_by_message_and_the_other_page_goes_on(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with await clinic.page(clinic.therapist_id) as therapist:
            await therapist.ask("join", live_session)
            monkeypatch.setattr(live_socket, "MessageAllowance", lambda: MessageAllowance(per_s=0.1))  # at any speed
            patient = await clinic.page(clinic.patient_ids[0])
            await patient.ask("join", live_session)
            for number in range(200):
                await patient.socket.send(f"garbage {number}")
            await until(lambda: patient.errors, what="refusals")
            await until(lambda: patient.errors[-1]["code"] == "rate_limited", what="rate limit")
            assert patient.errors[0]["code"] == "malformed"
            assert len(patient.errors) < 60  # 40 at once, a few that came back meanwhile, one word about the limit
            assert (await therapist.ask("focus", live_session, participant=None))["type"] == "reply"
            assert not patient.is_closed
            await patient.aclose()


async def test_a_flood_closes_the_socket(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False, with_worker=False) as clinic:
        page = await clinic.page(clinic.therapist_id)
        message = json.dumps({"v": 1, "type": "ping", "t": 1})
        for _ in range(live_socket.REFUSED_MESSAGES_MAX + 200):
            await page.socket.send(message)
        await until(lambda: page.is_closed, what="closed")
        assert page.close_code == 1008
        await page.aclose()


async def test_a_half_open_socket_is_shown_lost_within_three_seconds_and_a_little(
    tmp_path: Path, template: Path
) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            await therapist.ask("join", live_session)
            await patient.ask("join", live_session)
            await until(lambda: therapist.participant("patient").get("link") == "good", what="good")
            patient.stop_beating()
            pong_count = therapist.pong_count
            await until(lambda: therapist.participant("patient")["link"] == "lost", what="lost")
            assert asyncio.get_running_loop().time() - patient.last_beat_s > LINK_LOST_S
            # counted in the other page's beats, which a busy machine slows down as well
            assert (therapist.pong_count - pong_count) * BEAT_S < LINK_LOST_S + 1
            assert not patient.is_closed
            await patient.send(type="ping", t=0)
            await until(lambda: therapist.participant("patient")["link"] == "good", what="good again")


async def test_a_socket_that_stays_silent_is_closed_and_its_seat_kept(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_socket, "SOCKET_KEPT_S", 0.7)
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with await clinic.page(clinic.therapist_id) as therapist:
            await therapist.ask("join", live_session)
            patient = await clinic.page(clinic.patient_ids[0])
            await patient.ask("join", live_session)
            patient.stop_beating()
            await until(lambda: patient.is_closed, what="closed")
            assert patient.close_code == 4002
            await until(lambda: therapist.participant("patient")["state"] == "reconnecting", what="seat kept")
            await patient.aclose()


async def test_a_message_for_no_media_worker_is_answered_with_a_name(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telerehab.live.media_client.COMMAND_DEADLINE_S", 0.3)
    async with (
        open_clinic(tmp_path, template, with_broker=False, with_worker=False) as clinic,
        await clinic.page(clinic.therapist_id) as page,
    ):
        answer = await page.ask("join", clinic.therapist_id)
        assert answer["code"] == "media_unavailable"


async def test_the_log_names_nobody(tmp_path: Path, template: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with await clinic.page(clinic.patient_ids[0]) as patient:
            await patient.ask("join", live_session)
            await patient.ask("text", live_session, text="det gør ondt i knæet")
            await patient.socket.send("garbage with a name: Else")
        own = [record.getMessage() for record in caplog.records if record.name.startswith(("telerehab", "sessions"))]
    for word in ("Patient 0", "Mette", "ondt", "Else", clinic.tokens[clinic.patient_ids[0]]):
        assert word not in "\n".join(own)
