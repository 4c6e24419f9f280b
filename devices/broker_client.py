"""One connection to the broker: messages gather in a list, a thread of paho's does the network, nobody waits.

paho's thread can end in silence, and a broker can forget a subscription while the connection stays up. So the owner
calls `tend` every quarter of a second or so: it sees a dead thread and starts it again, and it tells a quiet house
from a deaf connection by a message that the client sends to itself.
"""

import logging
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Event, RLock, Thread
from typing import Any, Final, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from devices.effects import Outgoing
from devices.fast_reader import FastClient, why_unusable
from devices.gathering_reader import Arrived, GatheringClient
from devices.ports import Raw, Token

log = logging.getLogger(__name__)
paho_log = logging.getLogger(f"{__name__}.paho")

ECHO_PERIOD_NS: Final = 1_000_000_000
DEAF_AFTER_NS: Final = 2_000_000_000
REPLACE_AFTER_NS: Final = 300_000_000
"""A connection that is still deaf this long after it subscribed again is replaced [ns]."""
MAX_INBOX_MESSAGES: Final = 200_000
MAX_INBOX_BYTES: Final = 64 * 1024 * 1024
PAUSE_MAX_S: Final = 3.0
"""So long a full inbox stops the reading, and the broker holds what comes; longer, and it would end the connection."""
MAX_QUEUED_MESSAGES: Final = 10_000
KEEPALIVE_S: Final = 10
GATHER_S: Final = 0.002
"""The socket is read at most this often; a message after a pause is read at once [s]."""
GATHER_STOCK_S: Final = 0.02
"""The same for paho's own reader, which competes with the owner's thread for every packet."""
_VOID: Final = -1
ECHO_PREFIX: Final = "app/1/echo/"
RECONNECT_MIN_S: Final = 1
RECONNECT_MAX_S: Final = 2


def echo_topic(client_id: str) -> str:
    """Return where a client hears itself (`docs/protocol.md` T6)."""
    return f"{ECHO_PREFIX}{client_id}"


class BrokerClient:
    """A connection that keeps itself alive. Implements `ports.Source`.

    All methods but the network callbacks belong to one thread, the owner's; `publish` may be called from any.

    Parameters
    ----------
    host, port
        The broker.
    username, password
        The account.
    client_id
        Default random, and then drawn anew when a connection has to be replaced (amqtt confuses clients of one id).
    subscriptions
        Topic filters, with quality of service 0.
    kept_subscriptions
        Topic filters with quality of service 1: what was published so has a token, and the broker keeps it until
        `commit`. (amqtt makes everything on such a filter quality of service 1; Mosquitto does not.)
    session_expiry_s
        How long the broker keeps, after this connection is lost, what was not committed; needs a `client_id`. None:
        not at all. [s]
    on_wake
        Called in the network thread when the inbox was empty and no longer is; must not block.
    protocol_version
        4 for MQTT 3.1.1, which every broker speaks, or 5.
    unsent_max_bytes
        How much of quality of service 0 may wait for the network thread before `publish` refuses more; None: no bound.
    has_echo
        Whether the account may use its echo topic (T6); without it a deaf connection is not replaced.
    tls
        How to encrypt; None: not at all.
    reader
        How messages are read from the socket: `fast` where that works with the installed paho, else paho's own.
    utc_ns, monotonic_ns
        The clocks; monotonic must be the one that `tend` is called with.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        username: str,
        password: str,
        client_id: str | None = None,
        subscriptions: Sequence[str] = (),
        kept_subscriptions: Sequence[str] = (),
        session_expiry_s: int | None = None,
        on_wake: Callable[[], None] | None = None,
        protocol_version: Literal[4, 5] = 4,
        has_echo: bool = True,
        tls: ssl.SSLContext | None = None,
        reader: Literal["fast", "stock"] = "stock",
        unsent_max_bytes: int | None = None,
        utc_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password = username, password
        self._fixed_client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._kept_subscriptions = tuple(kept_subscriptions)
        self._session_expiry_s = session_expiry_s
        self._on_wake = on_wake
        self._protocol_version = protocol_version
        self._has_echo = has_echo
        self._is_fast = reader == "fast" and _may_read_fast()
        self._tls = tls
        self._unsent_max_bytes = unsent_max_bytes
        self._unsent: deque[tuple[MQTTMessageInfo, int]] = deque()
        self._unsent_bytes = 0
        self._utc_ns, self._monotonic_ns = utc_ns, monotonic_ns
        self._inbox: list[Raw] = []
        self._arrived_bytes = self._taken_bytes = 0
        self._last_progress_ns = monotonic_ns()
        self._last_echo_sent_ns = self._last_resubscribed_ns = self._last_progress_ns - DEAF_AFTER_NS
        self._has_heard_itself = False
        self._awaited_suback: int | None = None
        self._is_up = self._is_subscribed = False
        self._is_started = self._is_closed = False
        self._replaced: list[Client] = []
        self._thread: Thread | None = None
        self._generation = 0
        self._lock = RLock()
        self.owes_redelivery = False
        """Whether a message was dropped that the broker still keeps: `redeliver` when there is room again."""
        self.dropped_count = 0
        self.pause_count = 0
        self._was_taken = Event()
        self.refused_publish_count = 0
        self.resubscribed_count = 0
        self.replaced_count = 0
        self.redelivered_count = 0
        self.thread_restart_count = 0
        self.last_refusal: str | None = None
        """Why the broker last refused the login, None when it last accepted."""
        self._client_id, self._client = self._make_client()

    @property
    def client_id(self) -> str:
        """Return the client id of the present connection."""
        return self._client_id

    @property
    def is_connected(self) -> bool:
        """Return whether the broker has accepted the login and the connection stands."""
        return self._is_up and self._client.is_connected()  # paho says so until it tries again

    @property
    def is_subscribed(self) -> bool:
        """Return whether the broker has answered the latest subscription of this connection."""
        return self._is_subscribed and self.is_connected

    @property
    def reader(self) -> Literal["fast", "stock"]:
        """Return how messages are read from the socket."""
        return "fast" if self._is_fast else "stock"

    @property
    def last_progress_ns(self) -> int:
        """Return when anything last arrived, an echo included; monotonic [ns]."""
        return self._last_progress_ns

    def start(self) -> None:
        """Begin to connect, and go on trying until `close`."""
        self._is_started = True
        self._connect()

    def take(self) -> list[Raw]:
        """Return what has arrived since the last call, oldest first; never blocks."""
        count = len(self._inbox)
        taken = self._inbox[:count]
        del self._inbox[:count]  # the network thread may have appended since: only what was copied goes
        self._taken_bytes += sum(len(raw.payload) for raw in taken)
        self._was_taken.set()
        return taken

    def commit(self, tokens: Sequence[Token]) -> None:
        """Acknowledge messages to the broker, in this order; tokens of an earlier connection are void.

        What was not acknowledged before its connection ended comes again, if the broker keeps a session.
        """
        with self._lock:  # no connection begins between the look and the sending
            if not self.is_connected:
                return
            self._acknowledge(self._client, [each.packet_id for each in tokens if each.generation == self._generation])

    def redeliver(self) -> None:
        """Connect anew, so that the broker sends again all that is not committed; nothing without a session."""
        self.owes_redelivery = False
        if self._session_expiry_s is not None and self._is_started and not self._is_closed:
            self.redelivered_count += 1
            self._replace()

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Hand a message over for sending; False, and counted, when there is no connection or the queue is full.

        With quality of service 1 a message given while the connection is down is kept, within bounds, and sent later.
        """
        if qos == 0 and not (self._client.is_connected() and self._has_room(len(payload))):
            self.refused_publish_count += 1
            return False
        info = self._client.publish(topic, payload, qos, retain)
        is_kept = info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS or (qos > 0 and info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN)
        if not is_kept:
            self.refused_publish_count += 1
        elif qos == 0 and self._unsent_max_bytes is not None:
            self._unsent.append((info, len(payload)))
            self._unsent_bytes += len(payload)
        return is_kept

    def publish_all(self, messages: Iterable[Outgoing]) -> None:
        """Hand many messages over: those of quality of service 0 with one write, where the reader is the fast one."""
        client, plain = self._client, []
        for message in messages:
            if message.qos or self._unsent_max_bytes is not None or not isinstance(client, FastClient):
                self.publish(message.topic, message.payload, qos=message.qos)
            else:
                plain.append(message[:2])
        if plain and isinstance(client, FastClient):
            if client.is_connected():
                client.publish_all(plain)
            else:
                self.refused_publish_count += len(plain)

    def subscribe(self, *filters: str) -> None:
        """Listen to these topics as well, now and after every new connection."""
        added = [each for each in dict.fromkeys(filters) if each not in self._subscriptions]
        self._subscriptions = (*self._subscriptions, *added)
        if added and self._client.is_connected():
            self._client.subscribe([(each, 0) for each in added])

    def unsubscribe(self, *filters: str) -> None:
        """Listen to these topics no more."""
        removed = [each for each in dict.fromkeys(filters) if each in self._subscriptions]
        self._subscriptions = tuple(each for each in self._subscriptions if each not in removed)
        if removed and self._client.is_connected():
            self._client.unsubscribe(removed)

    def resubscribe(self) -> None:
        """Subscribe to everything again."""
        filters = [(each, 0) for each in self._subscriptions]
        filters += [(each, 1) for each in self._kept_subscriptions]
        filters += [(echo_topic(self._client_id), 0)] if self._has_echo else []
        if filters:
            with self._lock:  # the answer may come before we know which it is
                _, self._awaited_suback = self._client.subscribe(filters)

    def tend(self, now_ns: int) -> None:
        """Look after the connection; call at least four times a second.

        Parameters
        ----------
        now_ns
            Monotonic time. [ns]
        """
        if not self._is_started or self._is_closed:
            return
        if self._thread is None or not self._thread.is_alive():
            self.thread_restart_count += 1
            log.error("the network thread has died")
            self._replace()  # the old client may have stopped within a message, which would end a new thread as well
        if not self._client.is_connected():
            return
        if self._has_echo and now_ns - self._last_echo_sent_ns >= ECHO_PERIOD_NS:
            self._last_echo_sent_ns = now_ns
            self._client.publish(echo_topic(self._client_id), b"", 0)
        if now_ns - self._last_progress_ns < DEAF_AFTER_NS:
            return
        since_resubscribed_ns = now_ns - self._last_resubscribed_ns
        if since_resubscribed_ns >= DEAF_AFTER_NS:
            self._last_resubscribed_ns = now_ns
            self.resubscribed_count += 1
            log.warning("nothing has arrived for two seconds: subscribing again")
            self.resubscribe()
            self._last_echo_sent_ns = now_ns - ECHO_PERIOD_NS
        elif since_resubscribed_ns >= REPLACE_AFTER_NS and self._has_heard_itself:
            log.warning("the connection stays deaf: connecting anew")
            self._replace()

    def close(self) -> None:
        """Disconnect and end the network thread."""
        self._is_closed = True
        self._was_taken.set()
        for client in (*self._replaced, self._client):
            _say_goodbye(client)
            client.loop_stop()
        self._replaced.clear()

    def _has_room(self, size: int) -> bool:
        """Return whether the network thread keeps up; what a lost connection took with it no longer waits."""
        if self._unsent_max_bytes is None:
            return True
        while self._unsent and _is_gone(self._unsent[0][0]):
            self._unsent_bytes -= self._unsent.popleft()[1]
        return self._unsent_bytes + size <= self._unsent_max_bytes

    def _make_client(self) -> tuple[str, Client]:
        client_id = self._fixed_client_id or f"{self._username}-{secrets.token_hex(8)}"
        is_version_5 = self._protocol_version == 5
        clean_session = None if is_version_5 else self._session_expiry_s is None
        protocol = MQTTProtocolVersion.MQTTv5 if is_version_5 else MQTTProtocolVersion.MQTTv311
        make = FastClient if self._is_fast else GatheringClient
        client = make(
            client_id=client_id,
            protocol=protocol,
            clean_session=clean_session,
            on_arrived=self._when_arrived,
            gather_s=GATHER_S if self._is_fast else GATHER_STOCK_S,
        )
        client.username_pw_set(self._username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.max_queued_messages_set(MAX_QUEUED_MESSAGES)
        client.suppress_exceptions = True  # else one in a callback would end the thread
        client.enable_logger(paho_log)
        client.on_connect = self._when_connected
        client.on_disconnect = self._when_disconnected
        client.on_subscribe = self._when_subscribed
        return client_id, client

    def _connect(self) -> None:
        if self._protocol_version == 5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = self._session_expiry_s or 0
            self._client.connect_async(
                self._host,
                self._port,
                keepalive=KEEPALIVE_S,
                clean_start=self._session_expiry_s is None,
                properties=properties,
            )
        else:
            self._client.connect_async(self._host, self._port, keepalive=KEEPALIVE_S)
        self._client.loop_start()
        self._thread = self._client._thread  # paho shows it nowhere, and forgets it when it dies

    def _replace(self) -> None:
        self.replaced_count += 1
        old = self._client
        _say_goodbye(old)  # its thread ends by itself; `close` waits for it
        self._replaced = [*(each for each in self._replaced if each.is_connected()), old]
        self._is_up = self._is_subscribed = False
        self._last_progress_ns = self._monotonic_ns()
        made = self._make_client()
        with self._lock:
            self._client_id, self._client = made
            self._generation += 1
        self._unsent.clear()  # the old client takes along what it had not sent
        self._unsent_bytes = 0
        self._connect()

    # --- in the network thread: only what cannot wait ---------------------------------------------------------------

    def _when_arrived(self, client: Client, messages: Sequence[Arrived]) -> None:
        """Put what one read has brought into the inbox."""
        received_us = self._utc_ns() // 1000
        if client is self._client:
            self._last_progress_ns = self._monotonic_ns()
        generation = self._generation  # read before the look at whose it is
        if client is not self._client:
            generation = _VOID
        inbox = self._inbox
        is_patient, wakes = True, False
        room, room_bytes = self._room()
        for topic, payload, packet_id in messages:
            if topic.startswith(ECHO_PREFIX):
                self._has_heard_itself = True
                if packet_id:
                    self._acknowledge(client, [packet_id])
                continue
            size = len(payload)
            if room < 1 or size > room_bytes:
                is_patient = is_patient and self._wait_for_room(size)
                room, room_bytes = self._room()
            if room < 1 or size > room_bytes:
                self.dropped_count += 1
                self.owes_redelivery |= packet_id != 0
                continue
            wakes |= not inbox
            inbox.append(Raw(topic, payload, received_us, Token(generation, packet_id) if packet_id else None))
            self._arrived_bytes += size
            room, room_bytes = room - 1, room_bytes - size
        if wakes and self._on_wake is not None:
            self._on_wake()

    def _room(self) -> tuple[int, int]:
        """Return for how many messages, and for how many bytes, the inbox has room."""
        return MAX_INBOX_MESSAGES - len(self._inbox), MAX_INBOX_BYTES - self._arrived_bytes + self._taken_bytes

    def _wait_for_room(self, size: int) -> bool:
        """Read nothing more until the owner has taken what there is; return whether there is room in time."""
        self.pause_count += 1
        if self._on_wake is not None:
            self._on_wake()
        deadline_s = time.monotonic() + PAUSE_MAX_S
        while True:
            self._was_taken.clear()  # before the look: what happens after it wakes us
            room, room_bytes = self._room()
            if room >= 1 and size <= room_bytes:
                return True
            if self._is_closed or not self._was_taken.wait(max(deadline_s - time.monotonic(), 0)):
                return False

    def _acknowledge(self, client: Client, packet_ids: Sequence[int]) -> None:
        if isinstance(client, FastClient):
            client.acknowledge(packet_ids)
            return
        for packet_id in packet_ids:
            client.ack(packet_id, 1)

    def _when_connected(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self.last_refusal = str(reason)
            log.warning("the broker refused the login: %s", reason)
            return
        self.last_refusal = None
        self._is_up = True
        self._last_progress_ns = self._monotonic_ns()
        self.resubscribe()

    def _when_disconnected(
        self,
        client: Client,
        _userdata: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._lock:
            if client is self._client:
                self._is_up = self._is_subscribed = False
                self._generation += 1
        log.info("disconnected: %s", reason)

    def _when_subscribed(
        self, client: Client, _userdata: Any, mid: int, _reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        with self._lock:
            if client is self._client and mid == self._awaited_suback:
                self._is_subscribed = True


def _may_read_fast() -> bool:
    """Return whether the fast reader does what paho does, and log why where it does not."""
    why = why_unusable()
    if why is not None:
        log.warning("messages are read by paho's own reader: %s", why)
    return why is None


def _is_gone(info: MQTTMessageInfo) -> bool:
    """Return whether a message was written to the network, or lost with its connection."""
    return info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS or info.is_published()


def _say_goodbye(client: Client) -> None:
    """Disconnect; paho's thread takes one more turn without a socket, and would log that as an error."""
    client.disable_logger()
    client.disconnect()
