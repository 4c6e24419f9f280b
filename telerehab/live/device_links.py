"""The device links of this web process, and its connection to the broker in their devices' names.

A link hands over what its device says, one message at a time, and is read no further while the broker does not take
it: nothing is kept here, so nothing can be lost here. The device keeps every frame until a watermark covers it
(`docs/protocol.md` A1). What the server says waits in a bounded queue; a device that does not read it loses its link.
"""

import asyncio
import functools
import json
import logging
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from devices.broker_client import BrokerClient
from devices.link_messages import to_link_message, to_publication
from devices.topics import ack_topic, clock_topic, command_topic, is_device_name, shard_name, state_topic
from telerehab.auth.device_credentials import is_device_password
from telerehab.auth.limits import AttemptLimit
from telerehab.clock import Clock
from telerehab.db.engine import Database, reading
from telerehab.db.tables import Device, Kit
from telerehab.errors import BrokerAwayError, LoginFailedError, TooManyLinksError
from telerehab.live.outbox import (
    CLOSE_GOING_AWAY,
    CLOSE_POLICY,
    CLOSE_REPLACED,
    CLOSE_REVOKED,
    CLOSE_TRY_AGAIN,
    Sending,
)
from telerehab.settings import Settings
from telerehab.supervision import TaskSupervisor, in_thread

log = logging.getLogger(__name__)

ROLE: Final = "web"
LINKS_MAX: Final = 2_000
OUTBOX_MAX: Final = 256
ERRORS_MAX: Final = 20
"""Refused messages of one link, after which it is closed."""
UNSENT_MAX_BYTES: Final = 4 * 1024 * 1024
"""What may wait for the broker, of all links together."""
BROKER_WAIT_S: Final = 5.0
"""How long a link waits for the broker before it is closed; its device tries again."""
BROKER_POLL_S: Final = 0.05
TEND_INTERVAL_S: Final = 0.25
LOOK_INTERVAL_S: Final = 2.0
"""How often credentials are read again: a revoked device loses its link within this and a bit."""
LOGIN_REFILL_S: Final = 2.0
LOGIN_BURST: Final = 20
NO_KIT_SHARD: Final = shard_name(0)
"""Where a device without a kit publishes."""
LAST_WILL: Final = b'{"online": false}'


@dataclass(kw_only=True, frozen=True, slots=True)
class Admission:
    """What let a device in; when it is another, the link ends."""

    shard: str
    credential_hash: str


class DeviceLink:
    """One device's socket: what it is, and what it has still to be sent. Belongs to the event loop."""

    def __init__(self, device: str, admission: Admission) -> None:
        self.device = device
        self.admission = admission
        self.error_count = 0
        self._messages: deque[bytes | str] = deque()
        self._wake = asyncio.Event()
        self._close_code: int | None = None

    @property
    def close_code(self) -> int | None:
        """Return the code with which the link is being closed, None while it is not."""
        return self._close_code

    def say(self, message: bytes) -> None:
        """Send a message; the link of a device that lets too many pile up is closed."""
        if len(self._messages) >= OUTBOX_MAX:
            self._messages.clear()
            self.close(CLOSE_TRY_AGAIN, error="too_slow")
            return
        self._messages.append(message)
        self._wake.set()

    def say_error(self, code: str) -> None:
        """Tell the device what was wrong; a link on which too much is wrong is closed."""
        self.error_count += 1
        self._messages.append(make_text("error", code=code))
        if self.error_count >= ERRORS_MAX:
            self.close(CLOSE_POLICY, error="too_many_errors")
        self._wake.set()

    def close(self, code: int, *, error: str) -> None:
        """Say why, then close; the first code stands."""
        if self._close_code is None:
            self._close_code = code
            self._messages.append(make_text("error", code=error))
        self._wake.set()

    async def run(self, socket: Sending) -> None:
        """Send until closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._messages:
                message = self._messages.popleft()
                if isinstance(message, str):
                    await socket.send_text(message)
                else:
                    await socket.send_bytes(message)
            if self._close_code is not None:
                await socket.close(self._close_code)
                return


class DeviceLinks:
    """All links of this process."""

    def __init__(self, settings: Settings, *, database: Database, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        """How often what happened: `published`, `refused_bad_envelope`, ... The names are a fixed set."""
        self._database = database
        self._clock = clock
        self._links: dict[str, DeviceLink] = {}
        self._limit = AttemptLimit(burst=LOGIN_BURST, refill_s=LOGIN_REFILL_S, clock=clock)
        self._arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._client = BrokerClient(
            settings.mqtt_host,
            settings.mqtt_port,
            username=ROLE,
            password=settings.mqtt_password(ROLE),
            on_wake=self._wake_from_thread,
            unsent_max_bytes=UNSENT_MAX_BYTES,
            utc_ns=clock.utc_ns,
            monotonic_ns=clock.monotonic_ns,
        )

    def start(self, tasks: TaskSupervisor) -> None:
        """Connect to the broker and look after credentials, for as long as `tasks` run."""
        self._client.start()
        tasks.start("device links", self._run_broker)
        tasks.start("credentials of device links", self._run_credentials)

    @property
    def devices(self) -> frozenset[str]:
        """Return the devices that have a link now."""
        return frozenset(self._links)

    def status(self) -> dict[str, int]:
        """Return what the worker's row tells of the links."""
        return {"device_links": len(self._links), **{f"link_{name}": count for name, count in self.counts.items()}}

    async def admit(self, device: str, password: str, *, address: str) -> Admission:
        """Return what lets a device in.

        Raises
        ------
        LoginFailedError
            There is no such device, it is revoked, or the password is another: which of these is not told.
        TooManyAttemptsError
            This address has tried this device too often.
        """
        if not is_device_name(device):
            raise LoginFailedError("unknown device or wrong password")
        attempt_key = f"{address} {device}"
        self._limit.spend(attempt_key)
        known = (await in_thread(functools.partial(self._read_admissions, [device]))).get(device)
        if known is None or not is_device_password(password, known.credential_hash):
            self.counts["login_failed"] += 1
            raise LoginFailedError("unknown device or wrong password")
        self._limit.forgive(attempt_key)
        return known

    def connect(self, device: str, admission: Admission) -> DeviceLink:
        """Take a device's link in; an older one of the same device is closed.

        Raises
        ------
        TooManyLinksError
            This process holds as many as it may.
        """
        older = self._links.pop(device, None)
        if older is not None:
            older.close(CLOSE_REPLACED, error="replaced")
        elif len(self._links) >= LINKS_MAX:
            raise TooManyLinksError("too many device links")
        link = self._links[device] = DeviceLink(device, admission)
        self._client.subscribe(*_topics_to(device))
        self.counts["opened"] += 1
        return link

    def disconnect(self, link: DeviceLink) -> None:
        """Take a link off; unless another took its place, say the device's last will."""
        if self._links.get(link.device) is not link:
            return
        del self._links[link.device]
        self._client.unsubscribe(*_topics_to(link.device))
        self._client.publish(state_topic(link.device), LAST_WILL, qos=1, retain=True)

    async def publish(self, link: DeviceLink, message: bytes) -> None:
        """Publish what a device said; returns when the broker's connection has taken it.

        Raises
        ------
        LinkMessageError
            It is no message of a device.
        BrokerAwayError
            The broker did not take it in time.
        """
        made = to_publication(message, device=link.device, shard=link.admission.shard)
        waited_from_ns = self._clock.monotonic_ns()
        while not self._client.is_connected or not self._client.publish(
            made.topic, made.payload, qos=made.qos, retain=made.retain
        ):
            if self._clock.monotonic_ns() - waited_from_ns > BROKER_WAIT_S * 1e9:
                self.counts["broker_away"] += 1
                raise BrokerAwayError("the broker takes nothing")
            await asyncio.sleep(BROKER_POLL_S)
            if link.close_code is not None:
                return
        self.counts["published"] += 1

    async def aclose(self) -> None:
        """Close all links, each with its last will."""
        for link in tuple(self._links.values()):
            link.close(CLOSE_GOING_AWAY, error="going_away")
            self.disconnect(link)
        await asyncio.to_thread(self._client.close)

    # --- loops ---

    async def _run_broker(self) -> None:
        """Hand on what the server says as it comes, and look after the connection."""
        while True:
            try:
                async with asyncio.timeout(TEND_INTERVAL_S):
                    await self._arrived.wait()
            except TimeoutError:
                pass
            self._arrived.clear()
            self._client.tend(self._clock.monotonic_ns())
            for raw in self._client.take():
                made = to_link_message(raw.topic, raw.payload)
                link = None if made is None else self._links.get(made[0])
                if made is not None and link is not None:
                    link.say(made[1])

    async def _run_credentials(self) -> None:
        """Read credentials again and again; close the links of devices that are not let in any more."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            links = tuple(self._links.values())
            if not links:
                continue
            try:
                known = await in_thread(functools.partial(self._read_admissions, [link.device for link in links]))
            except SQLAlchemyError as error:
                log.warning("credentials of devices could not be read: %s", type(error).__name__)
                continue
            for link in links:
                self._look_at(link, known)

    def _look_at(self, link: DeviceLink, known: Mapping[str, Admission]) -> None:
        """Close a link whose credential is another, or none; follow the shard of its kit."""
        admission = known.get(link.device)
        if admission is None or admission.credential_hash != link.admission.credential_hash:
            self.counts["revoked"] += 1
            link.close(CLOSE_REVOKED, error="revoked")
        else:
            link.admission = admission

    def _read_admissions(self, devices: list[str]) -> dict[str, Admission]:
        """Read what lets these devices in, of those that are not revoked; blocks."""
        with reading(self._database.main) as db:
            return read_admissions(db, devices)

    def _wake_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._arrived.set)


def read_admissions(db: Session, devices: list[str]) -> dict[str, Admission]:
    """Return what lets these devices in, of those that are not revoked."""
    statement = (
        select(Device.name, Device.credential_hash, Kit.shard)
        .join(Kit, col(Kit.id) == col(Device.kit_id), isouter=True)
        .where(col(Device.name).in_(devices), col(Device.revoked_at).is_(None))
    )
    return {
        name: Admission(shard=shard or NO_KIT_SHARD, credential_hash=credential_hash)
        for name, credential_hash, shard in db.exec(statement)
    }


def make_text(kind: str, **fields: str) -> str:
    """Return a text message of the server."""
    return json.dumps({"type": kind, **fields}, separators=(",", ":"))


def _topics_to(device: str) -> tuple[str, str, str]:
    """Return what the server says to a device."""
    return ack_topic(device), clock_topic(device), command_topic(device, "#")
