"""Live values: to whom they concern, with their age, newest first, and a slow page slows nobody."""

import asyncio
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from sqlmodel import col, update
from websockets.asyncio.client import connect
from websockets.typing import Origin

from sessions.feature_hub import FeatureHub, Value
from telerehab.auth.reader import Reader, ReaderRole
from telerehab.clock import ManualClock, SystemClock, utc_now
from telerehab.db import tables
from telerehab.db.engine import writing
from telerehab.live.directory import Directory, OpenTraining
from telerehab.live.outbox import CLOSE_TRY_AGAIN, TEXTS_MAX, MessageAllowance, Outbox, join_values
from telerehab.live_frame import ENTRY_DTYPE, UNKNOWN_AGE_MS, decode_live_frame, encode_live_frame
from tests.telerehab.live.clinic import Clinic, Page, open_clinic, until

pytestmark = pytest.mark.anyio


def entry(training: UUID, *, age_ms: int = 40, repetitions: int = 0) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    row = np.zeros(1, ENTRY_DTYPE)
    row["training_session"], row["age_ms"], row["repetitions"] = training.bytes, age_ms, repetitions
    return row


def trainings_in(frame: bytes) -> set[UUID]:
    return {UUID(bytes=row["training_session"].tobytes()) for row in decode_live_frame(frame)[1]}


def seen_by(page: Page) -> set[UUID]:
    return set().union(*(trainings_in(frame) for frame in page.frames))


class Intake:
    """Publishes live frames as the ingest role does."""

    def __init__(self, clinic: Clinic) -> None:
        self.broker = clinic.broker_client("ingest")
        self.tick = 0

    def send(self, *trainings: UUID, age_ms: int = 40, sent_us: int | None = None) -> None:
        self.tick += 1
        rows = np.concatenate([entry(t, age_ms=age_ms, repetitions=self.tick) for t in trainings])
        self.broker.publish("live/1/w1", encode_live_frame(rows, tick=self.tick, sent_us=sent_us))


async def test_everybody_gets_the_values_they_may_see_and_no_others(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        trainings = [clinic.open_training(patient) for patient in clinic.patient_ids]
        stranger = UUID(int=7)
        intake = Intake(clinic)
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as anna,
            await clinic.page(clinic.patient_ids[1]) as bent,
        ):

            def sent() -> bool:
                a_while_ago_us = time.time_ns() // 1000 - 300_000  # since then the broker had it
                intake.send(*trainings, stranger, sent_us=a_while_ago_us)
                return bool(len(seen_by(therapist)) == 2 and seen_by(anna) and seen_by(bent))

            await until(sent, what="values")
            assert seen_by(therapist) == set(trainings)
            assert seen_by(anna) == {trainings[0]}
            assert seen_by(bent) == {trainings[1]}
            ages = [int(row["age_ms"]) for frame in anna.frames for row in decode_live_frame(frame)[1]]
            assert all(340 <= age_ms < 2_000 for age_ms in ages), ages
        intake.broker.close()


async def test_values_stop_when_the_care_ends(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        training = clinic.open_training(clinic.patient_ids[0])
        other = clinic.open_training(clinic.patient_ids[1])
        intake = Intake(clinic)
        async with await clinic.page(clinic.therapist_id) as therapist:

            def sees_both() -> bool:
                intake.send(training, other)
                return seen_by(therapist) == {training, other}

            await until(sees_both, what="values of both")
            with writing(clinic.database.main, owner="web") as db:
                ended_at = utc_now(SystemClock()) - timedelta(seconds=1)
                relation = tables.CareRelation
                db.exec(
                    update(relation).where(col(relation.patient_id) == clinic.patient_ids[0]).values(ends_at=ended_at)
                )

            deadline_s = asyncio.get_running_loop().time() + 5
            while asyncio.get_running_loop().time() < deadline_s:
                therapist.frames.clear()
                intake.send(training, other)
                await asyncio.sleep(0.12)
                if seen_by(therapist) == {other}:
                    break
            assert seen_by(therapist) == {other}
        intake.broker.close()


async def test_a_page_that_does_not_read_slows_no_other(tmp_path: Path, template: Path) -> None:
    """The therapist's page does not read until its socket is full; the patient gets each value as soon as it comes."""
    async with open_clinic(tmp_path, template) as clinic:
        training = clinic.open_training(clinic.patient_ids[0])
        many = [clinic.open_training(clinic.patient_ids[1]) for _ in range(100)]
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", clinic.web_port))
        host = f"127.0.0.1:{clinic.web_port}"
        slow = await connect(
            f"ws://{host}/ws",
            sock=raw,
            origin=Origin(f"http://{host}"),
            additional_headers=clinic.cookie(clinic.therapist_id),
            compression=None,
            ping_interval=None,
            max_queue=1,  # its reader stops, and with it the reading of the socket
            proxy=None,
        )
        intake = Intake(clinic)
        async with await clinic.page(clinic.patient_ids[0]) as patient:

            async def send_for(duration_s: float) -> None:
                stop_s = asyncio.get_running_loop().time() + duration_s
                while asyncio.get_running_loop().time() < stop_s:
                    await slow.send('{"v":1,"type":"ping","t":1}')
                    for _ in range(5):
                        intake.send(training, *many)
                        await asyncio.sleep(0.04)

            for _ in range(20):
                await send_for(0.5)
                if clinic.hub.skipped_count > 500:
                    break
            assert clinic.hub.skipped_count > 500  # the slow page's socket is full: values are dropped for it
            patient.frames.clear()
            await send_for(1.0)
            rows = [decode_live_frame(frame)[1][0] for frame in patient.frames]
            assert len(rows) > 10
            assert [row["repetitions"] for row in rows] == sorted(row["repetitions"] for row in rows)
            assert np.percentile([row["age_ms"] for row in rows], 95) < 40 + 250
        intake.broker.close()
        slow.transport.abort()


# --- who may look, as values ---


def reader(
    role: ReaderRole, *, account: UUID | None = None, patient: UUID | None = None, helper: UUID | None = None
) -> Reader:
    return Reader(
        login_id=UUID(int=90),
        role=role,
        organisation_id=UUID(int=91),
        account_id=account,
        tablet_id=None if patient is None else UUID(int=92),
        helper_id=helper,
        patient_id=patient,
    )


def training(number: int, *, patient: UUID, live_session: UUID | None = None, opened_s: int = 0) -> OpenTraining:
    return OpenTraining(
        id=UUID(int=number),
        organisation_id=UUID(int=91),
        patient_id=patient,
        live_session_id=live_session,
        opened_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=opened_s),
        exercise="sit_to_stand",
        side="right",
        target_low_deg=None,
        target_high_deg=None,
        target_repetitions=None,
    )


def test_care_or_leading_the_live_session_shows_values_and_an_administrator_sees_none() -> None:
    mette, karl, anna, bent, group = (UUID(int=number) for number in range(50, 55))
    directory = Directory(
        trainings=(training(1, patient=anna), training(2, patient=bent, live_session=group)),
        patients_of={mette: frozenset({anna})},
        live_sessions_of={karl: frozenset({group})},
        looked_at_by={UUID(int=60): frozenset({bent})},
        granted_to={
            UUID(int=61): {anna: frozenset({"see_results"}), bent: frozenset({"join", "see_plan", "train_for"})}
        },
    )
    seen = {
        "in care": directory.visible_trainings(reader("therapist", account=mette)),
        "leads": directory.visible_trainings(reader("therapist", account=karl)),
        "neither": directory.visible_trainings(reader("therapist", account=UUID(int=77))),
        "administrator": directory.visible_trainings(reader("admin", account=mette)),
        "tablet": directory.visible_trainings(reader("tablet", patient=bent)),
        "broken glass": directory.visible_trainings(reader("therapist", account=UUID(int=60))),
        "helper": directory.visible_trainings(reader("helper", helper=UUID(int=61))),
        "other organisation": directory.visible_trainings(
            replace(reader("therapist", account=mette), organisation_id=UUID(int=99))
        ),
    }
    assert seen == {
        "in care": {UUID(int=1)},
        "leads": {UUID(int=2)},
        "neither": set(),
        "administrator": set(),
        "tablet": {UUID(int=2)},
        "broken glass": {UUID(int=2)},
        "helper": {UUID(int=1)},
        "other organisation": set(),
    }


def test_a_patient_trains_what_belongs_to_this_live_session_else_what_was_opened_last() -> None:
    anna, group = UUID(int=52), UUID(int=54)
    alone, in_group, later = (
        training(1, patient=anna),
        training(2, patient=anna, live_session=group, opened_s=5),
        training(3, patient=anna, opened_s=9),
    )
    assert Directory(trainings=(alone, in_group, later)).training_of(anna, group) == in_group
    assert Directory(trainings=(later, alone)).training_of(anna, group) == later
    assert Directory().training_of(anna, group) is None


# --- the outbox itself, in virtual time ---


class Peer:
    """A peer that reads only when told to."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.texts: list[str] = []
        self.frames: list[bytes] = []
        self.code: int | None = None

    async def send_text(self, data: str) -> None:
        await self.reads.wait()
        self.texts.append(data)

    async def send_bytes(self, data: bytes) -> None:
        await self.reads.wait()
        self.frames.append(data)

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code


A, B = UUID(int=1), UUID(int=2)


def put(hub: FeatureHub[UUID], clock: ManualClock, training: UUID, repetitions: int, *, age_ms: int = 40) -> None:
    data = entry(training, age_ms=age_ms, repetitions=repetitions).tobytes()
    hub.put({training: Value(data=data, received_ns=clock.monotonic_ns(), tick=repetitions)})


async def test_a_stalled_page_gets_the_present_with_its_true_age_and_not_the_past() -> None:
    hub: FeatureHub[UUID] = FeatureHub()
    clock, peer = ManualClock(monotonic_now_ns=10**9), Peer()
    outbox = Outbox(hub, clock=clock)
    outbox.screen.show({A, B})
    sending = asyncio.create_task(outbox.run(peer))
    put(hub, clock, A, 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the first frame hangs in the peer's socket
    for number in range(2, 50):
        clock.advance(0.1)
        outbox.heard_ns = clock.monotonic_ns()
        put(hub, clock, A, number)
        put(hub, clock, B, number, age_ms=UNKNOWN_AGE_MS)
    clock.advance(0.2)
    peer.reads.set()
    await until(lambda: len(peer.frames) == 2, what="two frames")
    tick, rows = decode_live_frame(peer.frames[1])
    assert tick == 49  # the sender's: the page sees that 47 are missing
    assert rows["repetitions"].tolist() == [49, 49]
    assert rows["age_ms"].tolist() == [240, UNKNOWN_AGE_MS]
    sending.cancel()


async def test_values_of_different_ticks_are_not_shown_as_one_moment() -> None:
    hub: FeatureHub[UUID] = FeatureHub()
    clock, peer = ManualClock(monotonic_now_ns=10**9), Peer()
    peer.reads.set()
    outbox = Outbox(hub, clock=clock)
    outbox.screen.show({A, B})
    put(hub, clock, A, 7)
    put(hub, clock, B, 8)
    sending = asyncio.create_task(outbox.run(peer))
    await until(lambda: len(peer.frames) == 2, what="two frames")
    told = {tick: bytes(rows["training_session"][0]) for tick, rows in map(decode_live_frame, peer.frames)}
    assert told == {7: A.bytes, 8: B.bytes}
    sending.cancel()


async def test_a_page_that_is_not_heard_gets_no_values_until_it_is() -> None:
    hub: FeatureHub[UUID] = FeatureHub()
    clock, peer = ManualClock(monotonic_now_ns=10**9), Peer()
    peer.reads.set()
    outbox = Outbox(hub, clock=clock)
    outbox.screen.show({A})
    sending = asyncio.create_task(outbox.run(peer))
    clock.advance(1.6)
    put(hub, clock, A, 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert peer.frames == []
    outbox.hear()
    await until(lambda: len(peer.frames) == 1, what="the value held back")
    sending.cancel()


async def test_of_states_only_the_newest_is_sent_and_an_equal_one_not_again() -> None:
    outbox = Outbox(FeatureHub(), clock=ManualClock())
    peer = Peer()
    peer.reads.set()
    for state in ("a", "b", "c"):
        outbox.show_state(A, state)
    outbox.say("reply")
    sending = asyncio.create_task(outbox.run(peer))
    await until(lambda: peer.texts == ["reply", "c"], what="texts")
    outbox.show_state(A, "c")
    outbox.say("mark")
    await until(lambda: peer.texts[-1] == "mark", what="mark")
    assert peer.texts == ["reply", "c", "mark"]
    sending.cancel()


async def test_a_page_that_lets_texts_pile_up_is_closed_and_memory_stays_bounded() -> None:
    outbox = Outbox(FeatureHub(), clock=ManualClock())
    peer = Peer()
    for number in range(TEXTS_MAX + 1):
        outbox.say(str(number))
    peer.reads.set()
    await outbox.run(peer)
    assert (peer.texts, peer.code) == ([], CLOSE_TRY_AGAIN)


def test_an_age_is_held_at_its_limit_and_never_becomes_unknown() -> None:
    value = Value(data=entry(A, age_ms=65_000).tobytes(), received_ns=0, tick=1)
    _, rows = decode_live_frame(join_values([value], now_ns=10**12, now_us=0, tick=1))
    assert rows["age_ms"].tolist() == [65_534]


def test_twenty_messages_a_second_pass_for_ever_and_more_do_not() -> None:
    steady, flood = MessageAllowance(), MessageAllowance()
    assert all(steady.take(number * 50_000_000) for number in range(2_000))
    passed = sum(flood.take(number * 10_000_000) for number in range(1_000))  # 100 a second for 10 s
    assert passed == pytest.approx(40 + 200, abs=2)
