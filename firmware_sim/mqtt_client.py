"""MQTT 3.1.1 for one device, without a thread: the only module that knows paho.

Version 3.1.1 because the embedded broker of the demonstration speaks no other. The caller waits on the socket with the
selector it hands in, under the key's data `Connection`.
"""

import random
import secrets
import selectors
import time
from collections.abc import Sequence
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

KEEP_ALIVE_S: Final = 10
CONNECT_TIMEOUT_S: Final = 2.0
ANSWER_TIMEOUT_NS: Final = 5_000_000_000
RETRY_FIRST_S: Final = 0.2
RETRY_MAX_S: Final = 2.0
_MESSAGES_PER_READ_MAX: Final = 64


class Connection:
    """One account's connection to a broker; comes back by itself when it is lost.

    Parameters
    ----------
    selector : BaseSelector
        The socket is registered here while it is open.
    host, port, username, password :
    will_topic, will_payload :
        What the broker publishes, retained, when the connection breaks.
    subscriptions : sequence of str
        Subscribed to at every connect.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        host: str,
        port: int,
        username: str,
        password: str,
        will_topic: str,
        will_payload: bytes,
        subscriptions: Sequence[str],
    ) -> None:
        self.refusal = ""  # why the broker last refused to let us in
        self._selector = selector
        self._subscriptions = [(topic, 1) for topic in subscriptions]
        self._inbox: list[tuple[str, bytes]] = []
        self._is_up = False
        self._was_up = False
        self._retry_s = RETRY_FIRST_S
        self._next_try_ns = 0
        self._tried_ns = 0
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{username[:40]}-{secrets.token_hex(4)}", protocol=paho.MQTTv311
        )
        self._client.username_pw_set(username, password)
        self._client.will_set(will_topic, will_payload, qos=1, retain=True)
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.connect_async(host, port, keepalive=KEEP_ALIVE_S)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_socket_open = self._on_socket_open
        self._client.on_socket_close = self._on_socket_close

    @property
    def is_connected(self) -> bool:
        """Whether the broker has let us in and the connection stands."""
        return self._is_up

    def take_change(self) -> bool:
        """Tell whether the connection has come or gone since the last call."""
        changed, self._was_up = self._is_up != self._was_up, self._is_up
        return changed

    def read(self) -> list[tuple[str, bytes]]:
        """Read what has arrived as (topic, payload), in order."""
        for _ in range(_MESSAGES_PER_READ_MAX):
            n_before = len(self._inbox)
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or len(self._inbox) == n_before:
                break
        messages, self._inbox = self._inbox, []
        return messages

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Send a message; false when the way out is full or closed and nothing was sent."""
        if not self._is_up or self._is_full():
            return False
        return self._client.publish(topic, payload, qos=qos, retain=retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def tend(self, now_ns: int) -> None:
        """Connect when it is time to, keep alive, and give up on a broker that does not answer."""
        if self._client.socket() is None:
            if now_ns >= self._next_try_ns:
                self._try_to_connect(now_ns)
        elif not self._is_up and now_ns - self._tried_ns > ANSWER_TIMEOUT_NS:
            self._try_to_connect(now_ns)
        else:
            self._is_full()
            self._client.loop_misc()

    def close(self) -> None:
        """Say goodbye to the broker and close the socket."""
        self._is_full()
        self._client.disconnect()
        self._is_full()
        self._client.loop_misc()
        if self._client.socket() is not None:
            self._client.loop_read()

    def _is_full(self) -> bool:
        """Write what waits; tell whether something still waits."""
        if self._client.want_write():
            self._client.loop_write()
        return self._client.want_write()

    def _try_to_connect(self, now_ns: int) -> None:
        self._tried_ns = now_ns
        try:
            self._client.reconnect()
        except OSError:
            self._retry_later(now_ns)

    def _retry_later(self, now_ns: int) -> None:
        self._next_try_ns = now_ns + round(self._retry_s * random.uniform(0.8, 1.2) * 1e9)
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)

    def _on_connect(
        self, client: paho.Client, userdata: object, flags: paho.ConnectFlags, reason: ReasonCode, properties: object
    ) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            return
        self._is_up = True
        self._retry_s = RETRY_FIRST_S
        self.refusal = ""
        client.subscribe(self._subscriptions)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: object,
    ) -> None:
        self._is_up = False
        self._retry_later(time.monotonic_ns())

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self._inbox.append((message.topic, bytes(message.payload)))

    def _on_socket_open(self, client: paho.Client, userdata: object, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ, self)

    def _on_socket_close(self, client: paho.Client, userdata: object, sock: Any) -> None:
        self._selector.unregister(sock)
        self._is_up = False
