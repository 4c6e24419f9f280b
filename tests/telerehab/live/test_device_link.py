"""Device links: a real socket, a real broker, and somebody at the broker who hears what arrives there."""

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from devices.broker_client import BrokerClient
from devices.errors import LinkMessageError
from devices.link_messages import LinkFault, LinkKind, make_link_message, to_link_message, to_publication
from devices.ports import Raw
from telerehab.api import device_link
from telerehab.api.device_link import Credential, read_basic_header, read_hello
from telerehab.app import create_app
from telerehab.auth.device_credentials import SqlCredentials, hash_device_password
from telerehab.clock import SystemClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import Database, open_database, writing
from telerehab.db.tables import Device
from telerehab.live import device_links
from telerehab.live.device_links import ERRORS_MAX, LAST_WILL, OUTBOX_MAX, Admission, DeviceLink, DeviceLinks
from telerehab.live.link_allowance import BYTES_BURST, BYTES_PER_S, MESSAGES_BURST, MESSAGES_PER_S, LinkAllowance
from telerehab.live.outbox import CLOSE_POLICY, CLOSE_REPLACED, CLOSE_REVOKED, CLOSE_TOO_LARGE, CLOSE_TRY_AGAIN
from telerehab.roles.web import WS_MAX_BYTES
from telerehab.settings import Settings
from tests.devices.encoder import frame
from tests.telerehab.live.clinic import BrokerThread, serving, until

STATE: Final = make_link_message(LinkKind.STATE, b'{"online":true,"boot":1}')
PROBE: Final = bytes([0, *range(8)])
ANSWER: Final = bytes([1, *range(24)])
SHARD: Final = "07"


def live(sequence: int = 0, *, stream: str = "imu") -> bytes:
    return make_link_message(LinkKind.LIVE, frame(sequence), name=stream)


class LinkedDevice:
    """A device at the far end of a link, and all that it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[bytes] = []
        self.texts: list[dict[str, str]] = []
        self._reading = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reading

    @property
    def errors(self) -> list[str]:
        return [text["code"] for text in self.texts if text["type"] == "error"]

    @property
    def is_welcome(self) -> bool:
        return {"type": "welcome"} in self.texts

    async def closed(self) -> int | None:
        """Wait until the server has closed the link; return the code."""
        await asyncio.wait_for(asyncio.shield(self._reading), 20)
        return self.socket.close_code

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                if isinstance(message, bytes):
                    self.messages.append(message)
                else:
                    self.texts.append(json.loads(message))


@dataclass
class House:
    """The web role with a broker, two devices of one kit, and an ear at the broker."""

    settings: Settings
    database: Database
    passwords: dict[str, str]
    broker: BrokerThread
    links: DeviceLinks
    port: int
    ear: BrokerClient
    heard: list[Raw]

    def listen(self) -> list[Raw]:
        self.ear.tend(SystemClock().monotonic_ns())
        self.heard += self.ear.take()
        return self.heard

    def heard_on(self, topic: str) -> list[bytes]:
        return [raw.payload for raw in self.listen() if raw.topic == topic]

    async def open(self, **options: Any) -> ClientConnection:
        host = f"127.0.0.1:{self.port}"
        options.setdefault("origin", Origin(f"http://{host}"))
        return await connect(f"ws://{host}/device", compression=None, ping_interval=None, proxy=None, **options)

    async def link(self, name: str, *, password: str | None = None) -> LinkedDevice:
        """Open a link as a page does, and wait until it is welcome or closed."""
        socket = await self.open()
        hello = {"type": "hello", "device": name, "password": password or self.passwords[name]}
        await socket.send(json.dumps(hello))
        device = LinkedDevice(socket)
        await until(lambda: device.is_welcome or socket.close_code is not None, what="welcome")
        return device


@contextlib.asynccontextmanager
async def running_house(folder: Path, template: Path) -> AsyncIterator[House]:
    shutil.copytree(template, folder, dirs_exist_ok=True)
    settings = Settings(data_dir=folder, mqtt_port=1, web_port=0)
    database = open_database(settings)
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="clinic")
        kit = provisioning.create_kit(db, organisation_id=clinic.id, name="kit", shard=int(SHARD, 16))
        passwords = {
            name: provisioning.create_device(
                db, organisation_id=clinic.id, name=name, kind="phone", kit_id=kit.id if name != "loose" else None
            ).password
            for name in ("phone-1", "phone-2", "loose")
        }
    credentials = SqlCredentials(database.main, settings)
    credentials.refresh()
    broker = BrokerThread(credentials)
    await broker.start()
    settings = settings.model_copy(update={"mqtt_port": broker.port})
    ear = BrokerClient(
        "127.0.0.1",
        broker.port,
        username="ingest",
        password=settings.mqtt_password("ingest"),
        subscriptions=("rt/1/#", "bf/1/#", "dev/1/#", "clk/1/#"),
    )
    app = create_app(settings, static_folder=folder)
    try:
        async with serving(app, ws_max_size=WS_MAX_BYTES) as port:
            ear.start()
            links: DeviceLinks = app.state.device_links
            await until(lambda: ear.is_subscribed and links._client.is_connected, what="broker")
            yield House(settings, database, passwords, broker, links, port, ear, [])
    finally:
        await asyncio.to_thread(ear.close)
        await broker.stop()
        database.close()


# --- pure ---


def test_a_message_of_a_device_goes_to_its_own_topics_and_no_others() -> None:
    def topic_of(message: bytes) -> tuple[str, bytes, int, bool]:
        made = to_publication(message, device="phone-1", shard=SHARD)
        return made.topic, made.payload, made.qos, made.retain

    body = frame(3)
    assert topic_of(live(3)) == ("rt/1/07/phone-1/imu", body, 0, False)
    backfill = make_link_message(LinkKind.BACKFILL, body, name="heart")
    assert topic_of(backfill) == ("bf/1/07/phone-1/heart", body, 0, False)
    assert topic_of(STATE) == ("dev/1/phone-1/state", b'{"online":true,"boot":1}', 1, True)
    assert topic_of(make_link_message(LinkKind.META, b"{}")) == ("dev/1/phone-1/meta", b"{}", 1, True)
    assert topic_of(make_link_message(LinkKind.CLOCK, ANSWER)) == ("clk/1/phone-1", ANSWER, 0, False)


BROKEN: Final = [
    (b"", LinkFault.ENVELOPE),
    (b"\x01", LinkFault.ENVELOPE),
    (b"\x01\x05imu", LinkFault.ENVELOPE),  # the name is shorter than it says
    (b"\x00\x00", LinkFault.ENVELOPE),
    (b"\xff\x00" + bytes(40), LinkFault.ENVELOPE),
    (make_link_message(LinkKind.ACK, b"[]"), LinkFault.ENVELOPE),  # the server's to say
    (make_link_message(LinkKind.COMMAND, b"{}", name="wipe"), LinkFault.ENVELOPE),
    (make_link_message(LinkKind.STATE, b"{}", name="imu"), LinkFault.ENVELOPE),
    (make_link_message(LinkKind.LIVE, frame(0)), LinkFault.STREAM_NAME),
    (make_link_message(LinkKind.LIVE, frame(0), name="../phone-2/imu"), LinkFault.STREAM_NAME),
    (make_link_message(LinkKind.LIVE, frame(0), name="#"), LinkFault.STREAM_NAME),
    (make_link_message(LinkKind.LIVE, frame(0), name="a" * 17), LinkFault.STREAM_NAME),
    (b"\x01\x02\xc3\xa6" + frame(0), LinkFault.STREAM_NAME),
    (make_link_message(LinkKind.LIVE, frame(0)[:31], name="imu"), LinkFault.FRAME),
    (make_link_message(LinkKind.STATE, b"{"), LinkFault.DOCUMENT),
    (make_link_message(LinkKind.STATE, b"[]"), LinkFault.DOCUMENT),
    (make_link_message(LinkKind.META, b"[" * 10_000), LinkFault.DOCUMENT),
    (make_link_message(LinkKind.META, b'{"v":"' + b"x" * 16_384 + b'"}'), LinkFault.DOCUMENT),
    (make_link_message(LinkKind.STATE, b"\xff\xfe"), LinkFault.DOCUMENT),
    (make_link_message(LinkKind.CLOCK, PROBE), LinkFault.CLOCK),
    (make_link_message(LinkKind.CLOCK, ANSWER + b"\0"), LinkFault.CLOCK),
]


@pytest.mark.parametrize(("message", "fault"), BROKEN)
def test_what_is_no_message_of_a_device_is_refused_by_name(message: bytes, fault: LinkFault) -> None:
    with pytest.raises(LinkMessageError) as caught:
        to_publication(message, device="phone-1", shard=SHARD)
    assert caught.value.fault == fault


def test_of_the_servers_words_a_device_gets_those_that_are_for_devices() -> None:
    assert to_link_message("ack/1/phone-1", b"[]") == ("phone-1", b"\x06\x00[]")
    assert to_link_message("cmd/1/phone-1/wipe", b"{}") == ("phone-1", b"\x07\x04wipe{}")
    assert to_link_message("clk/1/phone-1", PROBE) == ("phone-1", b"\x05\x00" + PROBE)
    for topic, payload in (("clk/1/phone-1", ANSWER), ("rt/1/00/phone-1/imu", b""), ("x", b""), ("ack/1/A", b"")):
        assert to_link_message(topic, payload) is None


def test_a_link_that_is_too_fast_is_read_later_and_never_refused() -> None:
    allowance = LinkAllowance()
    pauses = [allowance.spend(100, now_ns=0) for _ in range(int(MESSAGES_BURST) + 1)]
    assert pauses[:-1] == [0.0] * int(MESSAGES_BURST)
    assert pauses[-1] == pytest.approx(1 / MESSAGES_PER_S)
    assert allowance.spend(100, now_ns=1_000_000_000) == 0.0
    heavy = LinkAllowance()
    assert heavy.spend(int(BYTES_BURST), now_ns=0) == 0.0
    assert heavy.spend(65_536, now_ns=0) == pytest.approx(65_536 / BYTES_PER_S)
    assert heavy.spend(0, now_ns=-5) > 0  # a clock that goes back gives nothing


def test_a_hello_is_a_document_and_a_basic_header_a_header() -> None:
    assert read_hello('{"type":"hello","device":"a","password":"b"}') == Credential("a", "b")
    for text in (None, "", "{", "[]", '{"type":"hello"}', '{"type":"hello","device":1,"password":"b"}', "[" * 9_999):
        assert read_hello(text) is None
    colons = base64.b64encode(b"a:b:c").decode()
    assert read_basic_header(f"basic {colons}") == Credential("a", "b:c")
    for header in (None, "", "Basic", "Basic !", "Bearer YTpi", "Basic YQ==", "Basic /w=="):
        assert read_basic_header(header) is None


@pytest.mark.anyio
async def test_a_device_that_does_not_read_loses_its_link() -> None:
    link = DeviceLink("phone-1", Admission(shard=SHARD, credential_hash=""))
    for _ in range(OUTBOX_MAX):
        link.say(b"x")
    assert link.close_code is None
    link.say(b"x")
    assert link.close_code == CLOSE_TRY_AGAIN


# --- over sockets ---


@pytest.mark.anyio
async def test_frames_and_documents_reach_the_broker_and_answers_come_back(tmp_path: Path, template: Path) -> None:
    async with running_house(tmp_path, template) as house, await house.link("phone-1") as device:
        for message in (STATE, make_link_message(LinkKind.META, b'{"v":1}'), live(0), live(1)):
            await device.socket.send(message)
        await device.socket.send(make_link_message(LinkKind.CLOCK, ANSWER))
        await until(lambda: house.heard_on("clk/1/phone-1") == [ANSWER], what="clock answer")
        assert house.heard_on("rt/1/07/phone-1/imu") == [frame(0), frame(1)]
        assert house.heard_on("dev/1/phone-1/state") == [b'{"online":true,"boot":1}']
        assert house.heard_on("dev/1/phone-1/meta") == [b'{"v":1}']
        async with await house.link("loose") as loose:
            await loose.socket.send(live(7))
            await until(lambda: house.heard_on("rt/1/00/loose/imu") == [frame(7)], what="a device without kit")
            said = {"ack/1/phone-1": b'[[1,"imu",2]]', "cmd/1/phone-1/wipe": b"{}", "clk/1/phone-1": PROBE}
            for topic, payload in said.items():
                house.ear.publish(topic, payload)
            await until(lambda: len(device.messages) == 3, what="answers")
            expected = [to_link_message(topic, payload) for topic, payload in said.items()]
            assert sorted(device.messages) == sorted(each[1] for each in expected if each is not None)
            assert loose.messages == []


@pytest.mark.anyio
async def test_a_closed_link_says_the_last_will_and_a_replaced_one_does_not(tmp_path: Path, template: Path) -> None:
    async with running_house(tmp_path, template) as house:
        older = await house.link("phone-1")
        await older.socket.send(STATE)
        async with await house.link("phone-1") as newer:
            assert await older.closed() == CLOSE_REPLACED
            assert older.errors == ["replaced"]
            await newer.socket.send(live(0))
            await until(lambda: house.heard_on("rt/1/07/phone-1/imu"), what="the newer link's frame")
            assert LAST_WILL not in house.heard_on("dev/1/phone-1/state")
            house.ear.publish("ack/1/phone-1", b"[]")
            await until(lambda: newer.messages, what="the newer link hears")
        await until(lambda: house.heard_on("dev/1/phone-1/state")[-1:] == [LAST_WILL], what="last will")
        assert house.links.devices == frozenset()


@pytest.mark.anyio
async def test_hostile_and_broken_input_is_named_and_disturbs_nobody_else(tmp_path: Path, template: Path) -> None:
    async with running_house(tmp_path, template) as house, await house.link("phone-2") as good:
        async with await house.link("phone-1") as bad:
            few = [message for message, _ in BROKEN][: ERRORS_MAX - 3]
            for message in few:
                await bad.socket.send(message)
            await bad.socket.send('{"type":"hello"}')
            await bad.socket.send(live(5))  # the link goes on
            await until(lambda: house.heard_on("rt/1/07/phone-1/imu") == [frame(5)], what="the good message among them")
            await until(lambda: len(bad.errors) == len(few) + 1, what="named errors")
            assert bad.errors == [fault.value for _, fault in BROKEN[: len(few)]] + ["unexpected_text"]
            for _ in range(ERRORS_MAX):
                with contextlib.suppress(ConnectionClosed):
                    await bad.socket.send(b"")
            assert await bad.closed() == CLOSE_POLICY
            assert bad.errors[-1] == "too_many_errors"
        async with await house.link("phone-1") as huge:
            with contextlib.suppress(ConnectionClosed):
                await huge.socket.send(bytes(WS_MAX_BYTES + 1))
            assert await huge.closed() == CLOSE_TOO_LARGE
        await good.socket.send(live(0))
        await until(lambda: house.heard_on("rt/1/07/phone-2/imu") == [frame(0)], what="the other link")
        assert good.errors == []
        assert {raw.topic for raw in house.listen()} <= {
            "rt/1/07/phone-1/imu",
            "rt/1/07/phone-2/imu",
            "dev/1/phone-1/state",
        }
        assert house.links.counts["refused_bad_stream_name"] == 5
        assert house.links.status()["device_links"] == 1


@pytest.mark.anyio
async def test_nobody_comes_in_without_the_devices_own_credential(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_link, "HELLO_WITHIN_S", 0.3)
    async with running_house(tmp_path, template) as house:
        for name, password in (("phone-1", "wrong"), ("stranger", "x"), ("Not/A/Name", "x"), ("web", "x")):
            refused = await house.link(name, password=password)
            assert (await refused.closed(), refused.errors) == (device_link.CLOSE_LOGIN_FAILED, ["login_failed"])
        for first in ("{}", live(0), None):
            socket = await house.open()
            if first is not None:
                await socket.send(first)
            silent = LinkedDevice(socket)
            assert (await silent.closed(), silent.errors) == (CLOSE_POLICY, ["hello_expected"])
        header = base64.b64encode(f"phone-1:{house.passwords['phone-1']}".encode()).decode()
        gateway = await house.open(origin=None, additional_headers={"Authorization": f"Basic {header}"})
        async with LinkedDevice(gateway) as device:
            await until(lambda: device.is_welcome, what="a gateway with a header")
        with pytest.raises(InvalidStatus) as caught:
            await house.open(origin=Origin("http://evil.example"))
        assert caught.value.response.status_code == 403
        for _ in range(device_links.LOGIN_BURST + 1):
            refused = await house.link("phone-2", password="wrong")
            await refused.closed()
        assert refused.errors == ["too_many_attempts"]
        monkeypatch.setattr(device_links, "LINKS_MAX", 0)
        refused = await house.link("phone-1")
        assert (await refused.closed(), refused.errors) == (CLOSE_TRY_AGAIN, ["too_many_links"])


@pytest.mark.anyio
async def test_a_link_whose_credential_is_void_closes_within_five_seconds(tmp_path: Path, template: Path) -> None:
    async with running_house(tmp_path, template) as house, await house.link("loose") as other:
        revoked, renewed = await house.link("phone-1"), await house.link("phone-2")
        with writing(house.database.main, owner="web") as db:
            db.get_one(Device, "phone-1").revoked_at = utc_now(SystemClock())
            db.get_one(Device, "phone-2").credential_hash = hash_device_password("another")
        assert device_links.LOOK_INTERVAL_S <= 3
        for device in (revoked, renewed):
            assert await device.closed() == CLOSE_REVOKED
            assert device.errors == ["revoked"]
        assert other.errors == []


@pytest.mark.anyio
async def test_a_flood_is_slowed_down_loses_nothing_and_leaves_others_alone(tmp_path: Path, template: Path) -> None:
    count = int(MESSAGES_BURST) + 300
    async with (
        running_house(tmp_path, template) as house,
        await house.link("phone-1") as flood,
        await house.link("phone-2") as other,
    ):

        async def pour() -> None:
            for sequence in range(count):
                await flood.socket.send(live(sequence))

        pouring = asyncio.create_task(pour())
        await until(lambda: house.links.counts["slowed"] > 0, what="slowed")
        await other.socket.send(live(0))
        await until(lambda: house.heard_on("rt/1/07/phone-2/imu") == [frame(0)], what="the other link")
        n_when_other_was_heard = len(house.heard_on("rt/1/07/phone-1/imu"))
        await until(lambda: len(house.heard_on("rt/1/07/phone-1/imu")) == count, what="all of it", wait_s=60)
        await pouring
        assert house.heard_on("rt/1/07/phone-1/imu") == [frame(sequence) for sequence in range(count)]
        assert n_when_other_was_heard < count
        assert flood.errors == []


@pytest.mark.anyio
async def test_without_a_broker_a_link_is_not_read_and_then_closed_by_name(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_links, "BROKER_WAIT_S", 1.0)
    async with running_house(tmp_path, template) as house, await house.link("phone-1") as device:
        await house.broker.stop()
        await until(lambda: not house.links._client.is_connected, what="the broker is gone")
        for sequence in range(50):
            with contextlib.suppress(ConnectionClosed):
                await device.socket.send(live(sequence))
        assert await device.closed() == CLOSE_TRY_AGAIN
        assert device.errors == ["broker_away"]
        assert house.links.counts["published"] == 0
        assert house.links.counts["broker_away"] == 1


@pytest.mark.anyio
async def test_what_the_broker_does_not_read_waits_within_a_bound(tmp_path: Path) -> None:
    """The broker accepts the login and then reads nothing: `publish` refuses instead of piling up."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x20\x02\x00\x00")
        await writer.drain()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()
        writer.close()

    done = asyncio.Event()
    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1)
    client = BrokerClient(
        "127.0.0.1", server.sockets[0].getsockname()[1], username="web", password="x", unsent_max_bytes=256 * 1024
    )
    client.start()
    try:
        await until(lambda: client.is_connected, what="login")
        taken = 0
        while client.publish("rt/1/00/a/imu", bytes(60_000)):
            taken += 1
            assert taken < 1_000
            await asyncio.sleep(0)
        assert taken >= 4
        assert client.refused_publish_count == 1
    finally:
        done.set()
        server.close()
        await asyncio.to_thread(client.close)
