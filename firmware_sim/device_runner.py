"""One device at work: its firmware, its connection, the faults of its link and its truth."""

import logging
import time
from collections.abc import Mapping, Sequence

from firmware_sim.firmware import Firmware, Outgoing, ProducedBlock
from firmware_sim.link import FaultyLink
from firmware_sim.mqtt_client import Connection
from firmware_sim.truth import DeviceTruth

log = logging.getLogger(__name__)


class DeviceRunner:
    """One device with its connection and its truth."""

    def __init__(self, firmware: Firmware, *, connection: Connection, link: FaultyLink, truth: DeviceTruth) -> None:
        self.firmware = firmware
        self._connection = connection
        self._link = link
        self._truth = truth
        self._told_refusal = ""
        self.next_due_ns = firmware.next_due_ns()

    @property
    def connection(self) -> Connection:
        """The device's connection to the broker."""
        return self._connection

    def read(self) -> None:
        """Act on what the broker has sent."""
        messages = self._connection.read()
        self._note_connection()
        for topic, payload in messages:
            self._send(self.firmware.received(topic, payload, time.monotonic_ns()))

    def produce(self, now_ns: int) -> None:
        """Send the blocks that are due."""
        self._remember(*self.firmware.produce(now_ns))

    def stop(self, now_ns: int) -> None:
        """Stop sampling."""
        self._remember(*self.firmware.stop(now_ns))

    def tend(self, now_ns: int) -> None:
        """Keep the connection and the unanswered blocks going."""
        self._connection.tend(now_ns)
        self._note_connection()
        self._send(self.firmware.tend(now_ns))

    def close(self, now_ns: int) -> None:
        """Switch the device off."""
        self._send([self.firmware.farewell(now_ns)])
        self._connection.close()
        self._truth.close()

    def summary(self) -> Mapping[str, int]:
        """Return what the device has done."""
        tally = self.firmware.tally
        return {
            "produced": tally.produced,
            "acknowledged": tally.acknowledged,
            "kept": self.firmware.n_kept,
            "dropped": tally.dropped,
            "sent": tally.sent,
            "resent": tally.resent,
            "duplicates": self._link.doubled,
            "lost": self._link.lost,
            "corrupted": self._link.damaged,
        }

    def _remember(self, produced: Sequence[ProducedBlock], outgoing: Sequence[Outgoing]) -> None:
        if produced:
            self._truth.write(produced)
        self._send(outgoing)
        self.next_due_ns = self.firmware.next_due_ns()

    def _send(self, outgoing: Sequence[Outgoing]) -> None:
        for message in outgoing:
            copies = self._link.carry(message.payload) if message.is_block else [message.payload]
            went_out = [
                self._connection.publish(message.topic, payload, qos=message.qos, retain=message.retain)
                for payload in copies
            ]
            if message.is_block and not all(went_out):
                self.firmware.not_sent()

    def _note_connection(self) -> None:
        if self._connection.refusal != self._told_refusal:
            self._told_refusal = self._connection.refusal
            if self._told_refusal:
                log.warning("device %s: the broker refuses it: %s", self.firmware.name, self._told_refusal)
        if not self._connection.take_change():
            return
        if self._connection.is_connected:
            log.info("device %s: connected", self.firmware.name)
            self._send(self.firmware.connected(time.monotonic_ns()))
        else:
            log.warning("device %s: connection lost", self.firmware.name)
            self.firmware.disconnected()
