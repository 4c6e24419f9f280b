"""paho's own reader, asked until the socket has nothing more; what came is handed over together.

paho by itself looks at the socket again after every packet, in a thread that competes with the owner's for each of
them. Only public methods are used, so this works with every paho.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

log = logging.getLogger(__name__)

PACKETS_MAX: Final = 1_000
"""With one look at the socket: what is to be sent, and the keep-alive, have their turn in between."""


class Arrived(NamedTuple):
    """One message; `packet_id` is what an acknowledgement names, 0 for quality of service 0."""

    topic: str
    payload: bytes
    packet_id: int


class GatheringClient(Client):
    """paho's client; messages come to `on_arrived` in lists. Acknowledging is the owner's.

    Parameters
    ----------
    client_id, protocol, clean_session
        As paho's.
    on_arrived
        Called in the network thread with this client and what one look brought, in the order of arrival.
    gather_s
        Under load, the shortest time between two looks: what arrives meanwhile is taken at once. [s]
    """

    def __init__(
        self,
        *,
        client_id: str,
        protocol: MQTTProtocolVersion,
        clean_session: bool | None,
        on_arrived: "Callable[[GatheringClient, list[Arrived]], None]",
        gather_s: float = 0.0,
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=protocol,
            clean_session=clean_session,
            manual_ack=True,
        )
        self._on_arrived = on_arrived
        self._gather_s = gather_s
        self._read_at_s = 0.0
        self._gathered: list[Arrived] = []
        self.on_message = self._gather

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read packet after packet until one look brings no message."""
        self._wait_to_gather()
        try:
            for _ in range(PACKETS_MAX):
                count = len(self._gathered)
                rc = super().loop_read()
                if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or len(self._gathered) == count:
                    break
        finally:
            self._read_at_s = time.monotonic()
            gathered, self._gathered = self._gathered, []
            self._hand_over(gathered)
        return rc

    def _wait_to_gather(self) -> None:
        wait_s = self._read_at_s + self._gather_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)

    def _gather(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self._gathered.append(Arrived(message.topic, bytes(message.payload), message.mid if message.qos else 0))

    def _hand_over(self, arrived: list[Arrived]) -> None:
        """Call the owner; as around all of paho's callbacks, an error there does not end the network thread."""
        if not arrived:
            return
        try:
            self._on_arrived(self, arrived)
        except Exception:
            if not self.suppress_exceptions:
                raise
            log.exception("the owner of the connection failed")
