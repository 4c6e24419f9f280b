"""A helper beside a patient: a seat by the patient's consent, never another patient, and gone when the consent is."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select, update

from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.tokens import hash_token, new_token
from telerehab.clock import SystemClock, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.repositories.people import helper_context
from telerehab.db.tables import Helper, HelperGrant, Login, Participant
from telerehab.live.fanout import LiveFanout
from tests.telerehab.live.clinic import Clinic, open_clinic, until

pytestmark = pytest.mark.anyio


def add_helper(clinic: Clinic, patient_id: UUID, *scopes: str) -> UUID:
    """Write a helper of a patient who is logged in; return the helper."""
    helper_id, token, now = uuid4(), new_token(), utc_now(SystemClock())
    sealed = open_key_ring(clinic.settings).seal(b"Poul Helper", context=helper_context(helper_id))
    with writing(clinic.database.main, owner="web") as db:
        db.add(Helper(id=helper_id, organisation_id=clinic.organisation_id, name_sealed=sealed, created_at=now))
        db.flush()
        db.add(
            HelperGrant(
                patient_id=patient_id,
                helper_id=helper_id,
                invited_name_sealed=b"x",
                scopes=list(scopes),
                starts_at=now - timedelta(hours=1),
                ends_at=now + timedelta(days=1),
                accepted_at=now,
                created_by=patient_id,
            )
        )
        login = Login(
            token_hash=hash_token(token),
            helper_id=helper_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(hours=1),
        )
        db.add(login)
    clinic.tokens[helper_id] = token
    clinic.login_ids[helper_id] = login.id
    return helper_id


def revoke(clinic: Clinic, helper_id: UUID) -> None:
    with writing(clinic.database.main, owner="web") as db:
        db.exec(
            update(HelperGrant).where(col(HelperGrant.helper_id) == helper_id).values(revoked_at=utc_now(SystemClock()))
        )


async def test_a_helper_sits_beside_the_own_patient_and_sees_no_other(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        helper_id = add_helper(clinic, clinic.patient_ids[0], "join")
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as anna,
            await clinic.page(clinic.patient_ids[1]) as bent,
            await clinic.page(helper_id) as helper,
        ):
            for page in (therapist, anna, bent, helper):
                assert (await page.ask("join", live_session))["type"] == "reply"
            await until(lambda: therapist.participant("helper"), what="the helper's seat")
            seat = therapist.participant("helper")
            assert (seat["display_name"], seat["patient_id"]) == ("Poul Helper", str(clinic.patient_ids[0]))
            await until(lambda: len(helper.state.get("participants", [])) == 3, what="the helper's view")
            roles = [(p["role"], p["patient_id"]) for p in helper.state["participants"]]
            assert ("patient", str(clinic.patient_ids[0])) in roles
            assert ("patient", str(clinic.patient_ids[1])) not in roles
            assert not bent.participant("helper")
            await until(lambda: anna.participant("helper"), what="the patient sees who sits there")

            anna_seat = therapist.participant("patient")["id"]
            assert therapist.participant("patient")["patient_id"] == str(clinic.patient_ids[0])
            await therapist.ask("talk_to", live_session, participant=anna_seat)
            await therapist.ask("text", live_session, text="Only for Anna")
            await until(
                lambda: [e["data"]["text"] for e in helper.events if e["kind"] == "text"] == ["Only for Anna"],
                what="what the patient reads",
            )
            await until(lambda: helper.state["slots"].get("audio-0"), what="what the patient hears")
            assert not bent.state["slots"].get("audio-0")
            assert not [e for e in bent.events if e["kind"] == "text"]
        with reading(clinic.database.main) as db:
            rows = db.exec(select(Participant).where(col(Participant.role) == "helper")).all()
        assert [(row.helper_id, row.patient_id) for row in rows] == [(helper_id, clinic.patient_ids[0])]


async def test_a_helper_without_the_scope_has_no_seat(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        helper_id = add_helper(clinic, clinic.patient_ids[0], "see_plan", "see_results", "train_for")
        stranger_id = add_helper(clinic, clinic.patient_ids[1], "join")
        live_session = await clinic.create_live_session(n_patients=1)
        for who in (helper_id, stranger_id):
            async with await clinic.page(who) as page:
                answer = await page.ask("join", live_session)
                assert (answer["type"], answer["code"]) == ("error", "not_found")


async def test_a_revoked_helper_loses_seat_and_values_within_five_seconds(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        helper_id = add_helper(clinic, clinic.patient_ids[0], "join", "see_results")
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(helper_id) as helper,
        ):
            await therapist.ask("join", live_session)
            await helper.ask("join", live_session)
            await until(lambda: therapist.participant("helper").get("state") == "admitted", what="the seat")
            revoke(clinic, helper_id)
            began_s = asyncio.get_running_loop().time()
            await until(lambda: "revoked" in helper.byes, what="the good-bye", wait_s=5)
            await until(lambda: therapist.participant("helper").get("state") == "left", what="the empty seat", wait_s=5)
            assert asyncio.get_running_loop().time() - began_s < 5
            assert (await helper.ask("join", live_session))["code"] == "not_found"
            assert (await helper.ask("help", live_session, on=True))["code"] == "not_joined"


async def test_what_happens_while_a_helper_sits_down_is_told_to_a_seat_that_is_known(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_access = LiveFanout._read_access

    async def no_beat(fanout: LiveFanout, channel: object) -> None: ...

    async def meanwhile_something_happens(fanout: LiveFanout) -> None:
        for channel in tuple(fanout._channels.values()):
            channel.last_sequence = 0
            await fanout._catch_up(channel)
        await read_access(fanout)

    async with open_clinic(tmp_path, template) as clinic:
        helper_id = add_helper(clinic, clinic.patient_ids[0], "join")
        live_session = await clinic.create_live_session()
        async with await clinic.page(clinic.therapist_id) as therapist, await clinic.page(helper_id) as helper:
            await therapist.ask("join", live_session)
            monkeypatch.setattr(LiveFanout, "_take_event", lambda *_: None)  # nobody else brings a newer snapshot
            monkeypatch.setattr(LiveFanout, "_beat", no_beat)
            monkeypatch.setattr(LiveFanout, "_read_access", meanwhile_something_happens)
            assert (await helper.ask("join", live_session))["type"] == "reply"


async def test_a_seat_of_a_helper_outlives_the_media_worker(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        helper_id = add_helper(clinic, clinic.patient_ids[0], "join")
        live_session = await clinic.create_live_session()
        async with await clinic.page(helper_id) as helper:
            seat = (await helper.ask("join", live_session))["participant"]
            await clinic.workers[0].kill()
            await clinic.start_worker()
            again = await helper.ask("join", live_session)
            assert again["participant"] == seat


async def test_nobody_is_logged_out_while_taking_part(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        now = utc_now(SystemClock())
        login_id = clinic.login_ids[clinic.therapist_id]
        async with await clinic.page(clinic.therapist_id) as therapist:
            with writing(clinic.database.main, owner="web") as db:  # idle for long, and soon too old
                login = db.get_one(Login, login_id)
                login.last_seen_at = now - timedelta(minutes=29, seconds=59)
                login.expires_at = now + timedelta(seconds=30)
            await therapist.ask("join", live_session)

            def is_kept() -> bool:
                with reading(clinic.database.main) as db:
                    login = db.get_one(Login, login_id)
                return login.last_seen_at >= now and login.expires_at > now + timedelta(minutes=10)

            await until(is_kept, what="the login lives on")
            assert not therapist.is_closed
