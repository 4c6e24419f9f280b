"""All homes and devices of one process, in real time, on one thread.

Every device has its own connection. The loop waits until the next block is due or a socket has something, and does
nothing else: signals are made in stretches of two seconds for one device at a time.
"""

import logging
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from devices.wire import Schema
from firmware_sim.body import Anthropometry
from firmware_sim.errors import HomesFileError
from firmware_sim.firmware import DeviceConfig, Firmware, Outgoing, ProducedBlock
from firmware_sim.heart import Heart
from firmware_sim.homes import Home, WornDevice, is_simulated
from firmware_sim.imu import BMI270, ImuSensor, WornSensor, place
from firmware_sim.link import FaultyLink, LinkFaults
from firmware_sim.movement import Movement
from firmware_sim.mqtt_client import Connection
from firmware_sim.replay import Recording, RecordingTruth
from firmware_sim.seeds import random_stream
from firmware_sim.streams import DeviceClock, HeartStream, RegularStream, Rows, Stream
from firmware_sim.truth import DeviceTruth, HomeTruth, TruthSource, write_replay_report

log = logging.getLogger(__name__)

SAMPLING_RATE_HZ: Final = 100.0
STRETCH_SAMPLES: Final = 200
FIRMWARE_VERSION: Final = "sim-1.0"
_TEND_EVERY_NS: Final = 50_000_000
_PROGRESS_EVERY_NS: Final = 10_000_000_000
_PHASE_MAX_NS: Final = 100_000_000
_AFTER_RECORDING_S: Final = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetOptions:
    """What holds for all devices of a run."""

    host: str
    port: int
    truth: Path
    seed: int = 1
    block_samples: int = 10
    still_s: float = 6.0
    seconds: float | None = None
    drain_s: float = 10.0
    faults: LinkFaults = field(default_factory=LinkFaults)
    gyro_bias_deg_s: float = 0.5
    misplacement_max_deg: float = 8.0
    drift_spread_ppm: float = 20.0


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


class Fleet:
    """All homes.

    Parameters
    ----------
    homes : sequence of Home
    options : FleetOptions
    recordings : sequence of Recording
        The i-th is worn in the i-th home instead of a simulated movement.

    Raises
    ------
    HomesFileError
        When a home cannot be simulated or replayed as it is described.
    TruthError
        When the truth cannot be written.
    """

    def __init__(self, homes: Sequence[Home], *, options: FleetOptions, recordings: Sequence[Recording] = ()) -> None:
        self._options = options
        self._selector = selectors.DefaultSelector()
        self._start_ns = time.monotonic_ns()
        self._start_utc_us = time.time_ns() // 1000
        self._homes: dict[str, HomeTruth] = {}
        self._devices: list[DeviceRunner] = []
        self._replays: dict[str, Mapping[str, Any]] = {}
        self._end_s = np.inf if options.seconds is None else options.seconds
        if len(recordings) == len(homes):
            self._end_s = min(self._end_s, max(each.duration_s for each in recordings) + _AFTER_RECORDING_S)
        if len(recordings) > len(homes):
            raise HomesFileError(f"{len(recordings)} recordings for {len(homes)} homes: each needs a home of its own")
        for index, home in enumerate(homes):
            self._add_home(home, recordings[index] if index < len(recordings) else None)

    def run(self, *, is_stopped: Callable[[], bool]) -> bool:
        """Run until stopped or over (`seconds`, recordings); tell whether every block was acknowledged."""
        log.info("%d homes, %d devices", len(self._homes), len(self._devices))
        self._loop(lambda now_ns: is_stopped() or self._is_over(now_ns))
        now_ns = time.monotonic_ns()
        self._write_truth(now_ns)
        for device in self._devices:
            device.stop(now_ns)
        log.info("stopped; waiting until the kept blocks are acknowledged")
        deadline_ns = now_ns + round(self._options.drain_s * 1e9)
        self._loop(lambda now_ns: self._n_kept() == 0 or now_ns >= deadline_ns, writes_truth=False)
        return self._n_kept() == 0

    def close(self) -> None:
        """Switch everything off."""
        for device in self._devices:
            device.close(time.monotonic_ns())
        for truth in self._homes.values():
            truth.close()
        self._selector.close()

    def summary(self) -> Mapping[str, Any]:
        """Return what every device and home has done."""
        summary: dict[str, Any] = {
            "seed": self._options.seed,
            "devices": {device.firmware.name: device.summary() for device in self._devices},
            "homes": {name: {"repetitions": truth.n_repetitions} for name, truth in self._homes.items()},
        }
        if self._replays:
            summary["replays"] = self._replays
        return summary

    def _add_home(self, home: Home, recording: Recording | None) -> None:
        inertial = [device for device in home.devices if device.kind == "imu6"]
        if recording is not None and len(inertial) != 1:
            raise HomesFileError(f"home {home.name}: a recording is worn as one imu6 device, there are {len(inertial)}")
        if recording is None and not is_simulated(home):
            raise HomesFileError(f"home {home.name}: {home.exercise} can be replayed but is not simulated yet")
        still_s = self._options.still_s
        if home.start_at_utc_s is not None:
            still_s = max(still_s, home.start_at_utc_s - self._start_utc_us * 1e-6)
        source: TruthSource
        worn: Movement | Recording
        if recording is None:
            source = worn = Movement(
                seed=self._options.seed,
                home=home.name,
                exercise=home.exercise,
                still_s=still_s,
                n_repetitions=home.n_repetitions,
            )
        else:
            source, worn = RecordingTruth(recording), recording
            report = {"home": home.name, "exercise": home.exercise, "site": inertial[0].site, **recording.report()}
            self._replays[home.name] = report
            write_replay_report(self._options.truth, home.name, report)
        self._homes[home.name] = HomeTruth(
            self._options.truth, home=home.name, source=source, start_utc_us=self._start_utc_us
        )
        for device in home.devices:
            self._add_device(home, device, worn, still_s)

    def _add_device(self, home: Home, device: WornDevice, worn: Movement | Recording, still_s: float) -> None:
        options = self._options
        character = random_stream(options.seed, device.name, "clock")
        phase_ns = 0 if isinstance(worn, Recording) else int(character.integers(_PHASE_MAX_NS))
        clock = DeviceClock(
            start_ns=self._start_ns + phase_ns,
            offset_us=int(character.integers(5_000_000, 10_000_000_000)),
            drift_ppm=options.drift_spread_ppm * float(np.clip(character.standard_normal(), -2.5, 2.5)),
        )
        stream: Stream
        rate_hz = SAMPLING_RATE_HZ
        if device.kind == "heart":
            heart = Heart(seed=options.seed, device=device.name, still_s=still_s)
            stream = HeartStream(name=device.stream, heart=heart, clock=clock)
        elif isinstance(worn, Recording):
            stream, rate_hz = recorded_stream(device, clock=clock, recording=worn), worn.rate_hz
        else:
            stream = simulated_stream(home, device, movement=worn, clock=clock, lead_s=phase_ns * 1e-9, options=options)
        truth = DeviceTruth(options.truth, device=device.name, stream=device.stream)
        firmware = Firmware(
            DeviceConfig(
                name=device.name,
                shard=home.shard,
                boot=truth.boot,
                meta=describe(device, rate_hz=rate_hz),
                block_samples=options.block_samples,
            ),
            clock=clock,
            streams=[stream],
        )
        will = firmware.last_will()
        connection = Connection(
            self._selector,
            host=options.host,
            port=options.port,
            username=device.name,
            password=device.password,
            will_topic=will.topic,
            will_payload=will.payload,
            subscriptions=firmware.subscriptions,
        )
        link = FaultyLink(options.faults, seed=options.seed, device=device.name)
        self._devices.append(DeviceRunner(firmware, connection=connection, link=link, truth=truth))

    def _loop(self, is_over: Callable[[int], bool], *, writes_truth: bool = True) -> None:
        next_tend_ns = 0
        next_progress_ns = time.monotonic_ns() + _PROGRESS_EVERY_NS
        by_connection = {id(device.connection): device for device in self._devices}
        while not is_over(now_ns := time.monotonic_ns()):
            for device in self._devices:
                if device.next_due_ns is not None and device.next_due_ns <= now_ns:
                    device.produce(now_ns)
            if now_ns >= next_tend_ns:
                next_tend_ns = now_ns + _TEND_EVERY_NS
                for device in self._devices:
                    device.tend(now_ns)
                if writes_truth:
                    self._write_truth(now_ns)
            if now_ns >= next_progress_ns:
                next_progress_ns = now_ns + _PROGRESS_EVERY_NS
                self._tell_progress()
            due_ns = min([next_tend_ns, *(each.next_due_ns for each in self._devices if each.next_due_ns is not None)])
            wait_s = max(0.0, (due_ns - time.monotonic_ns()) * 1e-9)
            for key, _ in self._selector.select(wait_s):
                by_connection[id(key.data)].read()

    def _is_over(self, now_ns: int) -> bool:
        return now_ns - self._start_ns >= self._end_s * 1e9

    def _write_truth(self, now_ns: int) -> None:
        for truth in self._homes.values():
            truth.write_until((now_ns - self._start_ns) * 1e-9)

    def _n_kept(self) -> int:
        return sum(device.firmware.n_kept for device in self._devices)

    def _tell_progress(self) -> None:
        log.info(
            "%d of %d devices connected, %d repetitions, %d blocks made, %d kept",
            sum(device.connection.is_connected for device in self._devices),
            len(self._devices),
            sum(truth.n_repetitions for truth in self._homes.values()),
            sum(device.firmware.tally.produced for device in self._devices),
            self._n_kept(),
        )


class SimulatedRows:
    """The rows of a simulated sensor, a stretch at a time.

    Parameters
    ----------
    worn : WornSensor
    sensor : ImuSensor
    clock_rate : float
        Device seconds per true second.
    lead_s : float
        When in the movement the device takes sample 0.
    """

    def __init__(self, worn: WornSensor, sensor: ImuSensor, *, clock_rate: float, lead_s: float) -> None:
        self._worn = worn
        self._sensor = sensor
        self._clock_rate = clock_rate
        self._lead_s = lead_s
        self._n_made = 0

    def __call__(self) -> Rows:
        """Return the next STRETCH_SAMPLES rows."""
        index = self._n_made + np.arange(STRETCH_SAMPLES)
        self._n_made += STRETCH_SAMPLES
        times_s = self._lead_s + index / SAMPLING_RATE_HZ / self._clock_rate
        return self._sensor.measure(*self._worn.ideal(times_s))


def simulated_stream(
    home: Home,
    device: WornDevice,
    *,
    movement: Movement,
    clock: DeviceClock,
    lead_s: float,
    options: FleetOptions,
) -> RegularStream:
    """Return the stream of a simulated inertial sensor; its rows depend on seed, home and device alone."""
    body = Anthropometry()
    worn = WornSensor(
        movement=movement,
        mounting=place(
            device.segment,
            side=device.side,
            body=body,
            misplacement_max_deg=options.misplacement_max_deg,
            random=random_stream(options.seed, device.name, "place"),
        ),
        segment=device.segment,
        side=device.side,
        trains=device.side == home.side or movement.exercise.moves_both_sides,
        body=body,
    )
    sensor = ImuSensor(
        BMI270,
        seed=options.seed,
        device=device.name,
        sampling_rate_hz=SAMPLING_RATE_HZ,
        gyro_bias_deg_s=options.gyro_bias_deg_s,
    )
    return RegularStream(
        name=device.stream,
        schema=Schema.IMU6,
        period_us=round(1e6 / SAMPLING_RATE_HZ),
        first_us=clock.offset_us,
        next_rows=SimulatedRows(worn, sensor, clock_rate=clock.rate, lead_s=lead_s),
    )


def recorded_stream(device: WornDevice, *, clock: DeviceClock, recording: Recording) -> RegularStream:
    """Return the stream of a replayed recording, at its own rate."""
    return RegularStream(
        name=device.stream,
        schema=Schema.IMU6,
        period_us=recording.period_us,
        first_us=clock.offset_us,
        next_rows=partial(next, iter([recording.rows()]), None),
    )


def describe(device: WornDevice, *, rate_hz: float) -> Mapping[str, Any]:
    """Return the meta of a device: what its streams are and what their numbers mean."""
    if device.kind == "heart":
        stream: dict[str, Any] = {
            "schema": int(Schema.HEART),
            "rate_hz": 0,
            "channels": [
                {"name": "heart_rate", "unit": "/min", "scale": 1, "range": [0, 250]},
                {"name": "rr", "unit": "s", "scale": 1 / 1024, "range": [0, 4]},
            ],
        }
    else:
        accel_range_m_s2 = round(BMI270.accel_scale_m_s2 * 32768, 6)
        kinds = (
            ("accel", "m/s2", BMI270.accel_scale_m_s2, accel_range_m_s2),
            ("gyro", "deg/s", BMI270.gyro_scale_deg_s, BMI270.gyro_range_deg_s),
        )
        stream = {
            "schema": int(Schema.IMU6),
            "rate_hz": rate_hz,
            "body_site": device.site,
            "channels": [
                {"name": f"{kind}_{axis}", "unit": unit, "scale": scale, "range": [-limit, limit]}
                for kind, unit, scale, limit in kinds
                for axis in "xyz"
            ],
        }
    return {
        "v": 1,
        "firmware": FIRMWARE_VERSION,
        "serial": f"sim-{device.name}",
        "part": BMI270.name if device.kind == "imu6" else "strap",
        "streams": {device.stream: stream},
    }
