"""Joining, leaving and coming back, over real sockets."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sessions.media.engine import Seat
from tests.telerehab.live.clinic import Clinic, Page, open_clinic, until

pytestmark = pytest.mark.anyio


def slot_of(page: Page, slot: str) -> object:
    return page.state.get("slots", {}).get(slot)


async def test_each_sees_in_the_state_whom_each_may_see(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        training = clinic.open_training(clinic.patient_ids[0], live_session_id=live_session)
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            assert (await therapist.ask("join", live_session))["type"] == "reply"
            assert (await patient.ask("join", live_session))["type"] == "reply"
            await until(lambda: therapist.participant("patient").get("state") == "admitted", what="patient admitted")
            assert [p["display_name"] for p in therapist.state["participants"]] == ["Mette", "Patient 0", "Patient 1"]
            assert therapist.participant("patient")["training_session"]["id"] == str(training)
            assert therapist.state["state"] == "live"
            await until(lambda: bool(patient.states))
            assert [p["display_name"] for p in patient.state["participants"]] == ["Mette", "Patient 0"]
            mette = patient.participant("therapist")["id"]
            assert patient.state["slots"] == {"audio-0": mette, "video-0": mette}
            await until(lambda: bool(patient.qualities), what="quality")
            assert patient.qualities[-1]["width"] == 480


async def test_a_patient_waits_until_admitted_and_then_media_is_bound_into_the_own_slot(
    tmp_path: Path, template: Path
) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session(auto_admit=False)
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[1]) as patient,
        ):
            await therapist.ask("join", live_session)
            await patient.ask("join", live_session)
            await until(lambda: therapist.participant("patient", 1).get("state") == "waiting", what="waiting")
            refused = await patient.ask("publish", live_session, sdp="offer")
            assert (refused["type"], refused["code"]) == ("error", "not_allowed")
            seat_id = therapist.participant("patient", 1)["id"]
            assert (await therapist.ask("admit", live_session, participant=seat_id))["type"] == "reply"
            assert (await patient.ask("publish", live_session, sdp="offer"))["sdp"] == "answer to offer"
            assert (await therapist.ask("subscribe", live_session, audio=2, video=2))["offer"] is None
            assert (await therapist.ask("subscribe_sdp", live_session, sdp="v"))["sdp"] == "answer to v"
            await until(lambda: therapist.participant("patient", 1)["publishes"]["video"], what="publishes")
            await until(lambda: therapist.participant("patient", 1)["state"] == "connected", what="connected")
            assert slot_of(therapist, "video-1") == seat_id
            bound = clinic.workers[0].engine.bound
            assert {(slot, str(source.participant)) for (_, slot), source in bound.items()} >= {("video-1", seat_id)}
            kinds = [(event["kind"], event["data"].get("state")) for event in patient.events]
            assert ("participant", "admitted") in kinds


async def test_reload_and_rejoin_keep_seat_and_slots_and_replay_what_was_missed(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with await clinic.page(clinic.therapist_id) as therapist:
            await therapist.ask("join", live_session)
            first = await clinic.page(clinic.patient_ids[0])
            await first.ask("join", live_session)
            await first.ask("publish", live_session, sdp="offer")
            await until(lambda: therapist.participant("patient")["state"] == "connected", what="connected")
            before = (therapist.participant("patient")["id"], therapist.state["slots"])
            last = first.state["event_sequence"]
            await first.aclose()
            await until(lambda: therapist.participant("patient")["state"] == "reconnecting", what="reconnecting")
            assert therapist.participant("patient")["link"] == "lost"
            assert (therapist.participant("patient")["id"], therapist.state["slots"]) == before
            await therapist.ask("text", live_session, text="er du der?")
            async with await clinic.page(clinic.patient_ids[0]) as second:
                reply = await second.ask("join", live_session)
                assert reply["participant"] == before[0]
                replayed = await second.ask("replay", live_session, after=last)
                assert replayed["complete"]
                texts = [event["data"]["text"] for event in second.events if event["kind"] == "text"]
                assert texts == ["er du der?"]
                # its media connections never went: the seat is connected again without new ones
                await until(lambda: therapist.participant("patient")["state"] == "connected", what="connected again")
                assert (therapist.participant("patient")["id"], therapist.state["slots"]) == before
        assert clinic.workers[0].engine.left == []


async def test_leaving_closes_the_media_and_ends_nothing(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            await therapist.ask("join", live_session)
            seat_id = (await patient.ask("join", live_session))["participant"]
            await patient.ask("publish", live_session, sdp="offer")
            assert (await patient.ask("leave", live_session))["type"] == "reply"
            await until(lambda: therapist.participant("patient")["state"] == "left", what="left")
            assert [str(seat.participant) for seat in clinic.workers[0].engine.left] == [seat_id]
            assert therapist.state["state"] == "live"
            assert (await patient.ask("publish", live_session, sdp="x"))["code"] == "not_joined"
            assert (await patient.ask("join", live_session))["participant"] == seat_id
            assert (await patient.ask("publish", live_session, sdp="offer"))["sdp"] == "answer to offer"


async def test_a_newer_socket_of_the_same_login_replaces_the_older(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        older = await clinic.page(clinic.patient_ids[0])
        await older.ask("join", live_session)
        async with await clinic.page(clinic.patient_ids[0]) as newer:
            await until(lambda: older.is_closed, what="older closed")
            assert (older.byes, older.close_code) == (["replaced"], 4000)
            assert (await newer.ask("join", live_session))["type"] == "reply"
            await until(lambda: newer.participant("patient").get("state") == "connecting", what="seat taken again")
        await older.aclose()


async def test_who_has_no_seat_is_told_that_there_is_no_such_live_session(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session(n_patients=1)
        async with await clinic.page(clinic.patient_ids[1]) as stranger:
            refused = await stranger.ask("join", live_session)
            unknown = await stranger.ask("join", uuid4())
            assert (refused["code"], unknown["code"]) == ("not_found", "not_found")
            assert (await stranger.ask("help", live_session, on=True))["code"] == "not_joined"
            assert (await stranger.ask("replay", live_session, after=0))["code"] == "not_joined"
            assert stranger.states == []


async def test_a_request_that_is_repeated_acts_once_also_on_the_next_socket(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        request_id = str(uuid4())
        first = await clinic.page(clinic.therapist_id)
        await first.ask("join", live_session)
        for _ in range(2):
            await first.ask("text", live_session, request_id=request_id, text="hej")
        await first.aclose()
        async with await clinic.page(clinic.therapist_id) as second:
            await second.ask("join", live_session)
            await second.ask("text", live_session, request_id=request_id, text="hej")
            await second.ask("text", live_session, request_id="1", text="hej igen")
            await second.ask("replay", live_session, after=0)
            await until(lambda: len(texts_of(second)) >= 2, what="texts")
            assert sorted(set(texts_of(second))) == ["hej", "hej igen"]
            sequences = [e["sequence"] for e in second.events if e["kind"] == "text"]
            assert len(set(sequences)) == 2


def texts_of(page: Page) -> list[str]:
    return [event["data"]["text"] for event in page.events if event["kind"] == "text"]


async def test_the_end_is_told_on_the_channel_and_the_socket_stays(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            await therapist.ask("join", live_session)
            await patient.ask("join", live_session)
            assert (await patient.ask("end", live_session))["code"] == "not_allowed"
            await therapist.ask("end", live_session)
            await until(lambda: patient.byes == ["ended"], what="bye")
            assert patient.state["state"] == "ended"
            assert not patient.is_closed
            assert (await patient.ask("join", live_session))["code"] == "not_allowed"


async def test_a_login_that_ends_closes_socket_and_media(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        patient = await clinic.page(clinic.patient_ids[0])
        seat_id = (await patient.ask("join", live_session))["participant"]
        await patient.ask("publish", live_session, sdp="offer")
        clinic.end_login(clinic.patient_ids[0])
        await until(lambda: patient.is_closed, what="closed", wait_s=5)
        assert (patient.byes, patient.close_code) == (["revoked"], 4001)
        left = clinic.workers[0].engine.left
        await until(lambda: [str(seat.participant) for seat in left] == [seat_id], what="media closed")
        await patient.aclose()


async def test_help_and_private_talk_reach_whom_they_concern(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as anna,
            await clinic.page(clinic.patient_ids[1]) as bent,
        ):
            seats = [(await page.ask("join", live_session))["participant"] for page in (therapist, anna, bent)]
            await anna.ask("help", live_session, on=True)
            await until(lambda: therapist.participant("patient").get("help_since"), what="help seen")
            await anna.ask("pause", live_session, on=True)
            await until(lambda: therapist.participant("patient").get("paused_since"), what="pause seen")
            await anna.ask("pause", live_session, on=False)
            await until(lambda: therapist.participant("patient").get("paused_since") is None, what="goes on")
            await therapist.ask("talk_to", live_session, participant=seats[1])
            await therapist.ask("focus", live_session, participant=seats[1])
            await therapist.ask("text", live_session, text="kun til dig")
            await until(lambda: texts_of(anna) == ["kun til dig"], what="text")
            await until(lambda: slot_of(bent, "audio-0") is None, what="muted for the other")
            assert slot_of(anna, "audio-0") == seats[0]
            await until(lambda: bent.qualities[-1]["width"] == 320, what="quality of the others")
            await therapist.ask("talk_to", live_session, participant=None)
            await until(lambda: slot_of(bent, "audio-0") == seats[0], what="heard again")
            assert texts_of(bent) == []
            assert not [event for event in bent.events if event["kind"] in ("help", "pause", "focus", "talk_to")]
            assert seats[1] not in str(bent.states + bent.events)
            viewer = Seat(live_session=live_session, participant=UUID(seats[2]))
            source = Seat(live_session=live_session, participant=UUID(seats[0]))
            assert clinic.workers[0].engine.bound[viewer, "audio-0"] == source


async def test_two_live_sessions_do_not_mix(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        sessions = [await create_alone(clinic, number) for number in (0, 1)]
        async with (
            await clinic.page(clinic.patient_ids[0]) as anna,
            await clinic.page(clinic.patient_ids[1]) as bent,
        ):
            await anna.ask("join", sessions[0])
            await bent.ask("join", sessions[1])
            await anna.ask("help", sessions[0], on=True)
            await until(lambda: anna.participant("patient").get("help_since"), what="help")
            assert all(state["id"] == str(sessions[1]) for state in bent.states)
            assert all(event["live_session"] == str(sessions[1]) for event in bent.events)


async def create_alone(clinic: Clinic, number: int) -> UUID:
    return await clinic.media.create_live_session(
        organisation_id=clinic.organisation_id,
        therapist_account_id=clinic.therapist_id,
        title="Alone",
        patient_ids=[clinic.patient_ids[number]],
        auto_admit=True,
    )
