"""All homes and devices of one process, in real time, on one thread.

Every device has its own connection. The loop waits until the next block is due or a socket has something, and does
nothing else: signals are made in stretches of two seconds for one device at a time.
"""

import logging
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from firmware_sim.device_runner import DeviceRunner
from firmware_sim.errors import HomesFileError
from firmware_sim.firmware import DeviceConfig, Firmware
from firmware_sim.heart import Heart
from firmware_sim.homes import Home, WornDevice
from firmware_sim.link import FaultyLink, LinkFaults
from firmware_sim.movement import Movement
from firmware_sim.mqtt_client import Connection
from firmware_sim.replay import Recording, RecordingTruth
from firmware_sim.sampling import DEFAULT_RATE_HZ, SensorErrors, describe, recorded_stream, simulated_stream
from firmware_sim.seeds import random_stream
from firmware_sim.streams import DeviceClock, HeartStream, Stream
from firmware_sim.truth import DeviceTruth, HomeTruth, TruthSource, write_replay_report

log = logging.getLogger(__name__)

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
    rate_hz: float = DEFAULT_RATE_HZ
    still_s: float = 6.0
    seconds: float | None = None
    drain_s: float = 10.0
    faults: LinkFaults = field(default_factory=LinkFaults)
    errors: SensorErrors = field(default_factory=SensorErrors)
    drift_spread_ppm: float = 20.0


class Drain:
    """Tell when to stop waiting: nothing is kept any more, or no block was acknowledged for `wait_ns`."""

    def __init__(self, count_kept: Callable[[], int], *, wait_ns: int, now_ns: int) -> None:
        self._count_kept = count_kept
        self._wait_ns = wait_ns
        self._least = count_kept()
        self._deadline_ns = now_ns + wait_ns

    def __call__(self, now_ns: int) -> bool:
        """Tell whether waiting is over."""
        n_kept = self._count_kept()
        if n_kept < self._least:
            self._least = n_kept
            self._deadline_ns = now_ns + self._wait_ns
        return n_kept == 0 or now_ns >= self._deadline_ns


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
        self._loop(Drain(self._n_kept, wait_ns=round(self._options.drain_s * 1e9), now_ns=now_ns), writes_truth=False)
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
                faults=home.faults,
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
        rate_hz = options.rate_hz
        if device.kind == "heart":
            heart = Heart(seed=options.seed, device=device.name, still_s=still_s)
            stream = HeartStream(name=device.stream, heart=heart, clock=clock)
        elif isinstance(worn, Recording):
            stream = recorded_stream(device, clock=clock, recording=worn, part=options.errors.part)
            rate_hz = worn.rate_hz
        else:
            stream = simulated_stream(
                device,
                trained_side=home.side,
                movement=worn,
                clock=clock,
                lead_s=phase_ns * 1e-9,
                seed=options.seed,
                errors=options.errors,
                rate_hz=rate_hz,
            )
        truth = DeviceTruth(options.truth, device=device.name, stream=device.stream)
        firmware = Firmware(
            DeviceConfig(
                name=device.name,
                shard=home.shard,
                boot=truth.boot,
                meta=describe(device, rate_hz=rate_hz, part=options.errors.part),
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
