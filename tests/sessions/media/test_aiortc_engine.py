"""The engine between real peers on loopback: ICE, DTLS, SRTP and the forwarding in between."""

import asyncio
import gc
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket

from sessions.media.aiortc_engine import AiortcEngine
from sessions.media.compat import ForwardingConnection
from sessions.media.engine import (
    DrainingError,
    LegChange,
    LegKind,
    LegState,
    NoSuchSlotError,
    NotOpenError,
    SdpRefusedError,
    Seat,
)
from tests.sessions.media.peers import Arrival, Clip, Publisher, Viewer, new_seat, running_engine, until

pytestmark = pytest.mark.anyio

both_loops = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)


def steps(values: Sequence[int], modulus: int) -> list[int]:
    return [(later - earlier) % modulus for earlier, later in pairwise(values)]


def publish_connection(engine: AiortcEngine, seat: Seat) -> ForwardingConnection:
    leg = engine._live_sessions[seat.live_session][seat].publishing
    assert leg is not None
    return leg.connection


@both_loops
async def test_a_slot_switches_between_publishers_without_a_gap_and_starts_each_at_a_key_frame(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_b, seat_v = (new_seat(live_session) for _ in range(3))
        a, b, viewer = Publisher(clip, with_audio=True), Publisher(clip), Viewer(["audio-0", "video-0", "video-1"])
        await a.publish(engine, seat_a)
        await b.publish(engine, seat_b)
        answer = await viewer.subscribe(engine, seat_v)
        streams = [line.split()[0] for line in answer.splitlines() if line.startswith("a=msid:")]
        assert streams == ["a=msid:audio-0", "a=msid:video-0", "a=msid:video-1"]
        engine.bind(seat_v, "audio-0", seat_a)
        arrivals = viewer.slots["video-1"].arrivals
        begins = []
        for source in (seat_a, seat_b, seat_a):
            engine.bind(seat_v, "video-1", source)
            begins.append(len(arrivals))
            await until(lambda: len(arrivals) > begins[-1] + 30)
        assert [arrivals[begin].is_key for begin in begins] == [True, True, True]
        in_order = sorted(arrivals, key=lambda arrival: (arrival.sequence - arrivals[0].sequence) % 2**16)
        assert set(steps([arrival.sequence for arrival in in_order], 2**16)) == {1}
        assert all(step < 2**31 for step in steps([arrival.timestamp for arrival in in_order], 2**32))
        assert len({arrival.ssrc for arrival in arrivals}) == 1
        assert viewer.slots["audio-0"].arrivals, "sound flows beside"
        assert not viewer.slots["video-0"].arrivals, "nothing is bound there"
        stats = engine.stats(live_session)
        assert stats[seat_a].audio_flowing
        assert stats[seat_a].video_flowing
        assert not stats[seat_b].audio_flowing
        assert stats[seat_a].publish is LegState.FLOWING
        assert stats[seat_v].subscribe is LegState.FLOWING
        assert stats[seat_v].packets_forwarded >= len(arrivals)
        for peer in (a, b, viewer):
            await peer.close()


async def test_packets_lost_on_the_way_to_the_viewer_come_again_as_rtx_with_two_video_lines(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, viewer = Publisher(clip), Viewer(["video-0", "video-1"])
        await a.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        for slot in ("video-0", "video-1"):
            engine.bind(seat_v, slot, seat_a)
        received = viewer.slots["video-1"]
        await until(lambda: len(received.arrivals) > 20)
        lost = [arrival.sequence for arrival in received.arrivals[-8:-5]]
        for sequence in lost:  # as if they had not come
            received.receiver.history[sequence % len(received.receiver.history)] = None
        before = received.receiver.counters.repaired
        ssrc = received.arrivals[0].ssrc
        request = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ssrc, lost=lost)
        viewer.connection._peer.wire.send_rtcp(bytes(request))
        await until(lambda: received.receiver.counters.repaired - before >= 3)
        assert [arrival.sequence for arrival in received.arrivals if arrival.sequence in lost][-3:] == lost
        assert viewer.slots["video-0"].receiver.counters.repaired == 0
        await a.close()
        await viewer.close()


async def test_a_viewers_wish_for_a_key_frame_reaches_the_publisher(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, viewer = Publisher(clip), Viewer(["video-0"])
        await a.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        received = viewer.slots["video-0"]
        await until(lambda: received.arrivals)
        await asyncio.sleep(0.6)  # beyond the bound of two a second, which the switch may have used
        before = a.video.keyframe_request_count
        received.receiver.request_keyframe(time.monotonic_ns())
        await until(lambda: a.video.keyframe_request_count == before + 1)
        await asyncio.sleep(0.6)
        engine.request_keyframe(seat_a)
        await until(lambda: a.video.keyframe_request_count == before + 2)
        await a.close()
        await viewer.close()


async def test_with_three_percent_loss_no_picture_stands_still_for_longer_than_300_ms(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, viewer = Publisher(clip), Viewer(["video-0"])
        await a.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        arrivals = viewer.slots["video-0"].arrivals
        await until(lambda: arrivals)
        n_dropped = drop_randomly(publish_connection(engine, seat_a), share=0.03, seed=7)
        stalls = asyncio.create_task(longest_stall_of_the_loop_s(during_s=4.0))
        stall_s = await stalls
        shown = times_when_frames_could_be_shown(arrivals)
        assert n_dropped() > 5
        assert engine.stats(live_session)[seat_a].packets_repaired > 0
        assert len(shown) > 80
        assert max(later - earlier for earlier, later in pairwise(shown)) < 0.3 + stall_s
        await a.close()
        await viewer.close()


async def test_a_publisher_that_comes_again_takes_over_without_a_break(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        changes: list[LegChange] = []
        engine.watch(changes.append)
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        first, second, viewer = Publisher(clip), Publisher(clip), Viewer(["video-0"])
        await first.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        arrivals = viewer.slots["video-0"].arrivals
        await until(lambda: len(arrivals) > 60)
        old = publish_connection(engine, seat_a)
        counted = engine.stats(live_session)[seat_a].packets_received

        await second.publish(engine, seat_a)
        assert publish_connection(engine, seat_a) is old, "the old one serves until the new one delivers"
        await until(lambda: publish_connection(engine, seat_a) is not old)
        assert engine.stats(live_session)[seat_a].packets_received >= counted, "counts are the seat's"
        n_then = len(arrivals)
        await until(lambda: len(arrivals) > n_then + 20)
        await until(lambda: first.peer.connectionState == "closed")
        assert_unbroken(arrivals)
        assert LegState.CLOSED not in [change.state for change in changes if change.seat == seat_a]
        await second.close()
        await viewer.close()


async def test_a_new_connection_that_never_delivers_does_not_silence_the_old_one(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        first, ghost, viewer = Publisher(clip), Publisher(clip), Viewer(["video-0"])
        await first.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        arrivals = viewer.slots["video-0"].arrivals
        await until(lambda: len(arrivals) > 10)
        await ghost.peer.setLocalDescription(await ghost.peer.createOffer())
        await engine.publish(seat_a, ghost.peer.localDescription.sdp)  # and the answer is lost
        with pytest.raises(SdpRefusedError):
            await engine.publish(seat_a, "nonsense")
        n_then = len(arrivals)
        await until(lambda: len(arrivals) > n_then + 30)
        assert_unbroken(arrivals)
        await asyncio.gather(first.close(), ghost.close(), viewer.close())


async def test_a_viewer_that_comes_again_gets_its_slots_back_and_the_old_connection_ends(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, first, second = Publisher(clip), Viewer(["video-0"]), Viewer(["video-0", "video-1"])
        await a.publish(engine, seat_a)
        await first.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        await until(lambda: len(first.slots["video-0"].arrivals) > 10)
        await second.subscribe(engine, seat_v)
        await until(lambda: len(second.slots["video-0"].arrivals) > 10)
        assert second.slots["video-0"].arrivals[0].is_key
        await until(lambda: first.connection._stage == "closed")
        n_then = len(first.slots["video-0"].arrivals)
        n_second = len(second.slots["video-0"].arrivals)
        await until(lambda: len(second.slots["video-0"].arrivals) > n_second + 10)
        assert len(first.slots["video-0"].arrivals) == n_then
        await asyncio.gather(a.close(), first.close(), second.close())


async def test_further_slots_on_a_further_connection_leave_the_first_alone(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, first, second = Publisher(clip), Viewer(["video-0"]), Viewer(["video-1"])
        await a.publish(engine, seat_a)
        for slot in ("video-0", "video-1"):
            engine.bind(seat_v, slot, seat_a)  # before there is any connection
        await first.subscribe(engine, seat_v)
        await second.subscribe(engine, seat_v)
        await until(lambda: len(second.slots["video-1"].arrivals) > 10)
        n_then = len(first.slots["video-0"].arrivals)
        await until(lambda: len(first.slots["video-0"].arrivals) > n_then + 10)
        await asyncio.gather(a.close(), first.close(), second.close())


@pytest.mark.parametrize("how", ["hangs up", "leaves"])
async def test_a_slot_outlives_its_publisher(clip: Clip, how: str) -> None:
    async with running_engine() as (engine, live_session):
        changes: list[LegChange] = []
        engine.watch(changes.append)
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        first, second, viewer = Publisher(clip), Publisher(clip), Viewer(["video-0"])
        await first.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        arrivals = viewer.slots["video-0"].arrivals
        await until(lambda: len(arrivals) > 10)
        if how == "leaves":
            await engine.leave(seat_a)
            assert seat_a not in engine.stats(live_session)
        await first.close()
        await until(lambda: LegChange(seat=seat_a, leg=LegKind.PUBLISH, state=LegState.CLOSED) in changes)
        n_then = len(arrivals)
        await second.publish(engine, seat_a)
        await until(lambda: len(arrivals) > n_then + 10)
        assert_unbroken(arrivals)
        assert arrivals[n_then].is_key
        assert engine.stats(live_session)[seat_v].subscribe is LegState.FLOWING
        await asyncio.gather(second.close(), viewer.close())


@both_loops
async def test_garbage_from_anyone_does_not_end_a_stream(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, viewer = Publisher(clip), Viewer(["video-0"])
        await a.publish(engine, seat_a)
        await viewer.subscribe(engine, seat_v)
        engine.bind(seat_v, "video-0", seat_a)
        arrivals = viewer.slots["video-0"].arrivals
        await until(lambda: arrivals)
        connection = publish_connection(engine, seat_a)
        target = media_address(connection)
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        generator = random.Random(5)
        stun = bytes.fromhex("0001 0010 2112a442") + bytes(12)
        garbage = [
            b"",
            b"\x80",
            b"\x80" + bytes(3_000),  # longer than any of ours
            b"\x16\xfe\xff" + generator.randbytes(40),  # as if DTLS
            stun + bytes.fromhex("0006 0004 ff ff ff ff 0008 0004 00000000"),
            stun + generator.randbytes(16),
            bytes.fromhex("0001 0008 2112a442") + bytes(12) + bytes.fromhex("0024 0002 0000 0000"),  # a cut priority
            *(generator.randbytes(generator.randrange(1, 1_400)) for _ in range(300)),
            *(bytes([0x80, kind]) + generator.randbytes(60) for kind in range(256)),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            for datagram in garbage:
                attacker.sendto(datagram, target)
                await asyncio.sleep(0)
        await until(lambda: connection.refused_datagrams > 300)
        n_then = len(arrivals)
        await until(lambda: len(arrivals) > n_then + 20)
        assert_unbroken(arrivals)
        assert a.peer.connectionState == "connected"
        assert unhandled == []
        await asyncio.gather(a.close(), viewer.close())


async def test_a_leg_passes_through_its_states_and_notes_silence(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessions.media.aiortc_engine.STALLED_AFTER_NS", 300_000_000)
    async with running_engine() as (engine, live_session):
        changes: list[LegChange] = []
        engine.watch(changes.append)
        seat = new_seat(live_session)
        publisher = Publisher(clip)
        await publisher.publish(engine, seat)
        await until(lambda: changes[-1].state is LegState.FLOWING)
        mute = publish_connection(engine, seat)
        forward, mute.take_datagram = mute.take_datagram, lambda data, dtls: None  # type: ignore[method-assign]
        await until(lambda: changes[-1].state is LegState.STALLED)
        assert not engine.stats(live_session)[seat].video_flowing
        mute.take_datagram = forward  # type: ignore[method-assign]
        await until(lambda: changes[-1].state is LegState.FLOWING)
        await publisher.close()
        await until(lambda: changes[-1].state is LegState.CLOSED)
        states = [change.state for change in changes if change.state is not LegState.WAITING_KEY]
        assert states == [
            LegState.NEW,
            LegState.ANSWERED,
            LegState.ICE,
            LegState.DTLS,
            LegState.FLOWING,
            LegState.STALLED,
            LegState.FLOWING,
            LegState.CLOSED,
        ]


async def test_who_never_connects_is_closed_in_bounded_time(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessions.media.aiortc_engine.CONNECT_WITHIN_NS", 200_000_000)
    async with running_engine() as (engine, live_session):
        seat, ghost = new_seat(live_session), Publisher(clip)
        await ghost.peer.setLocalDescription(await ghost.peer.createOffer())
        await engine.publish(seat, ghost.peer.localDescription.sdp)
        assert engine.stats(live_session)[seat].publish is not None
        await until(lambda: engine.stats(live_session)[seat].publish is None)
        await ghost.close()


async def test_a_viewer_that_asks_again_and_again_holds_few_connections() -> None:
    async with running_engine() as (engine, live_session):
        seat = new_seat(live_session)
        viewers = [Viewer(["video-0"]) for _ in range(4)] + [Viewer([f"video-{i}"]) for i in range(1, 8)]
        media = engine._media(seat)
        for viewer in viewers[:4]:
            await viewer.offer_only(engine, seat)
        assert [leg.slots for leg in media.subscribing] == [("video-0",)]
        for viewer in viewers[4:]:
            await viewer.offer_only(engine, seat)
        assert [leg.slots for leg in media.subscribing] == [(f"video-{i}",) for i in range(4, 8)]
        await asyncio.gather(*(viewer.close() for viewer in viewers))


async def test_refusals_have_names(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        seat, elsewhere = new_seat(live_session), new_seat(uuid4())
        with pytest.raises(NotOpenError):
            await engine.publish(elsewhere, "")
        with pytest.raises(SdpRefusedError):
            await engine.publish(seat, "nonsense")
        with pytest.raises(SdpRefusedError, match="named first"):
            await engine.finish_subscribe(seat, "")
        for slots in (["video"], ["screen-0"], ["video-0", "video-0"], [], [f"video-{i}" for i in range(65)]):
            with pytest.raises(NoSuchSlotError):
                await engine.begin_subscribe(seat, slots)
        with pytest.raises(NoSuchSlotError):
            engine.bind(seat, "video-0", elsewhere)
        engine.drain()
        await engine.open(live_session)  # it is open already
        with pytest.raises(DrainingError):
            await engine.open(uuid4())
        publisher = Publisher(clip)
        await publisher.publish(engine, seat)  # drained engines let people come back
        await until(lambda: engine.stats(live_session)[seat].video_flowing)
        await engine.close(live_session)
        assert engine.stats(live_session) == {}
        await until(lambda: publisher.peer.connectionState == "closed")
        with pytest.raises(NotOpenError):
            engine.bind(seat, "video-0", None)


@both_loops
async def test_twenty_connections_leave_no_task_and_no_descriptor(clip: Clip) -> None:
    n_tasks = len(asyncio.all_tasks())
    engine = AiortcEngine()
    live_session = uuid4()
    await engine.open(live_session)

    async def come_and_go() -> None:
        seat_a, seat_v = new_seat(live_session), new_seat(live_session)
        a, viewer = Publisher(clip), Viewer(["video-0"])
        await asyncio.gather(a.publish(engine, seat_a), viewer.subscribe(engine, seat_v))
        engine.bind(seat_v, "video-0", seat_a)
        await until(lambda: viewer.slots["video-0"].arrivals)
        await engine.leave(seat_a)
        await engine.leave(seat_v)
        await asyncio.gather(a.close(), viewer.close())

    await come_and_go()
    await until(lambda: len(asyncio.all_tasks()) == n_tasks)
    gc.collect()
    n_descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await asyncio.gather(come_and_go(), come_and_go())
    await until(lambda: len(asyncio.all_tasks()) == n_tasks)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= n_descriptors
    await engine.aclose()
    assert len(asyncio.all_tasks()) == n_tasks


def assert_unbroken(arrivals: Sequence[Arrival]) -> None:
    in_order = sorted(arrivals, key=lambda arrival: (arrival.sequence - arrivals[0].sequence) % 2**16)
    assert set(steps([arrival.sequence for arrival in in_order], 2**16)) == {1}
    assert all(step < 2**31 for step in steps([arrival.timestamp for arrival in in_order], 2**32))


def drop_randomly(connection: ForwardingConnection, *, share: float, seed: int) -> Callable[[], int]:
    """Let a connection lose packets on the way in; return how many it lost."""
    generator = random.Random(seed)
    take = connection.take_datagram
    dropped = []

    def lossy(data: bytes, dtls: Any) -> None:
        if generator.random() < share:
            dropped.append(len(data))
        else:
            take(data, dtls)

    connection.take_datagram = lossy  # type: ignore[method-assign]
    return lambda: len(dropped)


async def longest_stall_of_the_loop_s(*, during_s: float) -> float:
    """Watch for how long the machine, not the network, let nothing happen."""
    longest, begin = 0.0, time.monotonic()
    while (now := time.monotonic()) < begin + during_s:
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - now - 0.01)
    return longest


def times_when_frames_could_be_shown(arrivals: Sequence[Arrival]) -> list[float]:
    """Return when each frame and all before it were complete."""
    first = arrivals[0].sequence
    by_place: dict[int, Arrival] = {}
    for arrival in arrivals:
        by_place.setdefault((arrival.sequence - first) % 2**16, arrival)
    shown, latest, place = [], 0.0, 0
    while place in by_place:
        latest = max(latest, by_place[place].at)
        if by_place[place].ends_frame:
            shown.append(latest)
        place += 1
    return shown


def media_address(connection: ForwardingConnection) -> tuple[str, int]:
    candidate = connection._peer.ice_connection.local_candidates[0]
    return candidate.host, candidate.port
