"""Sensors on a knee and an intake around them, in memory and in made-up time: what the tests of the pipeline share.

Frames are packed here by hand, never by the product.
"""

import json
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.effects import BlockKey, Outgoing
from devices.ports import Raw
from telerehab.attribution import Lending
from telerehab.db.engine import Database
from telerehab.intake.catch_up import CatchUp
from telerehab.intake.hot_store import keys_of
from telerehab.intake.places import Places, Training
from telerehab.intake.slots import EndedRepetition
from telerehab.live_frame import decode_live_frame
from telerehab.live_pipeline import Effects, LivePipeline

START_US: Final = 1_790_000_000_000_000
PATIENT: Final = UUID(int=7)
STEP_US: Final = 50_000
TRAVEL_US: Final = 4_000  # from device to server, and back
ACCEL_SCALE: Final = 0.005  # m/s² a unit
GYRO_SCALE: Final = 0.0625  # °/s a unit
ACCEL_NOISE: Final = 0.02  # m/s²
GYRO_NOISE: Final = 0.1  # °/s
REPETITION_S: Final = 4.0
STILL_S: Final = 6.0
RANGE_DEG: Final = 75.0

Signal = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since the start -> accel xyz [m/s²], gyro xyz [°/s], shape (n, 6)."""


def extension_deg(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the knee has been straightened from 90°: still, then one repetition every four seconds."""
    into_s = np.clip(np.mod(t_s - STILL_S, REPETITION_S), 0, 2.5)
    moving = RANGE_DEG / 2 * (1 - np.cos(2 * np.pi * into_s / 2.5))
    return np.where(t_s < STILL_S, 0.0, moving)


def shank(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a sensor on the shank feels: x along the segment, y to the left."""
    angle = np.radians(extension_deg(t_s))
    speed = (extension_deg(t_s + 1e-4) - extension_deg(t_s - 1e-4)) / 2e-4
    zero = np.zeros_like(angle)
    return np.stack([-9.81 * np.cos(angle), zero, 9.81 * np.sin(angle), zero, -speed, zero], axis=1)


def thigh(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a sensor on the resting thigh feels."""
    return np.tile([0.0, 0.0, 9.81, 0.0, 0.0, 0.0], (len(t_s), 1))


def swing(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a slow swing about one axis: its phase tells the time."""
    zero = np.zeros_like(t_s)
    return np.stack([zero, zero, zero + 9.81, zero, 100 * np.sin(2 * np.pi * 0.5 * t_s), zero], axis=1)


@dataclass(kw_only=True)
class Sensor:
    """A device with a clock of its own that samples a signal and answers time probes."""

    name: str
    signal: Signal
    period_us: int = 10_000
    n_samples: int = 10
    clock_offset_us: int = 77_000_000
    drift_ppm: float = 0.0
    boot: int = 1
    sequence: int = 0
    is_silent: bool = False
    is_delayed: bool = False
    kept: list[Raw] = field(default_factory=list)
    """Blocks made while silent (they come as backfill) or delayed (as live data): for later."""

    def device_us(self, server_us: float) -> int:
        """Return what the device reads at an instant of the server's time."""
        return round((server_us - START_US) * (1 + self.drift_ppm * 1e-6)) + self.clock_offset_us

    def server_us(self, device_us: float) -> float:
        """Return the instant at which the device reads this."""
        return (device_us - self.clock_offset_us) / (1 + self.drift_ppm * 1e-6) + START_US

    def due_us(self) -> float:
        """Return when the last sample of the next block has been taken, by the server's clock."""
        last = (self.sequence + 1) * self.n_samples - 1
        return self.server_us(self.clock_offset_us + last * self.period_us)

    def make_block(self, *, flags: int = 0) -> bytes:
        """Return the next block as a frame."""
        t0_us = self.clock_offset_us + self.sequence * self.n_samples * self.period_us
        at_us = t0_us + np.arange(self.n_samples) * self.period_us
        t_s = np.array([(self.server_us(each) - START_US) * 1e-6 for each in at_us.tolist()])
        noise = np.random.default_rng([zlib.crc32(self.name.encode()), self.sequence]).normal(0, 1, (self.n_samples, 6))
        felt = self.signal(t_s) + noise * ([ACCEL_NOISE] * 3 + [GYRO_NOISE] * 3)
        values = np.round(felt / ([ACCEL_SCALE] * 3 + [GYRO_SCALE] * 3)).astype("<i2")
        frame = pack_frame(self, t0_us=t0_us, body=values.tobytes(), flags=flags)
        self.sequence += 1
        return frame

    def meta(self) -> Raw:
        """Return what the device says it is."""
        channels = [
            {"name": f"{kind}_{axis}", "unit": unit, "scale": scale, "range": [-1, 1]}
            for kind, unit, scale in (("accel", "m/s2", ACCEL_SCALE), ("gyro", "deg/s", GYRO_SCALE))
            for axis in "xyz"
        ]
        streams = {"imu": {"schema": 1, "rate_hz": 1e6 / self.period_us, "channels": channels}}
        return Raw(f"dev/1/{self.name}/meta", json.dumps({"v": 1, "streams": streams}).encode(), START_US)

    def state(self) -> Raw:
        """Return how the device says it is."""
        return Raw(f"dev/1/{self.name}/state", json.dumps({"online": True, "boot": self.boot}).encode(), START_US)

    def answer(self, probe: Outgoing, *, now_us: int) -> Raw | None:
        """Return the answer to a time probe of this device."""
        if probe.topic != f"clk/1/{self.name}" or self.is_silent:
            return None
        (s1_us,) = struct.unpack_from("<Q", probe.payload, 1)
        d2_us = self.device_us(s1_us + TRAVEL_US)
        payload = struct.pack("<BQQQ", 1, s1_us, d2_us, d2_us + 100)
        return Raw(probe.topic, payload, s1_us + 2 * TRAVEL_US + 100)


def pack_frame(sensor: Sensor, *, t0_us: int, body: bytes, flags: int) -> bytes:
    """Return a frame of schema 1, byte by byte as the protocol says."""
    head = struct.pack(
        "<HBBHHIIQI",
        0x5254,
        1,
        1,
        flags,
        len(body) // 12,
        sensor.boot,
        sensor.sequence,
        t0_us,
        sensor.period_us,
    )
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def training(number: int = 1, **changed: Any) -> Training:
    """Return an open training session of a seated knee extension."""
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "exercise": "knee_extension_seated",
        "side": "right",
        "proximal": f"thigh-{number}",
        "distal": f"shank-{number}",
        "heart": f"heart-{number}",
        "target_deg": (0.0, 20.0),
        "opened_us": START_US,
    }
    return Training(**values | changed)


def knee(number: int = 1, **changed: Any) -> list[Sensor]:
    """Return the two sensors of a patient."""
    return [
        Sensor(name=f"thigh-{number}", signal=thigh, **changed),
        Sensor(name=f"shank-{number}", signal=shank, clock_offset_us=5_000_000_000, **changed),
    ]


def catch_up(pipeline: LivePipeline, database: Database, *later: Effects) -> Sequence[EndedRepetition]:
    """Let a restarted pipeline catch up with what is stored and with what came since; return what is to be written."""
    way = CatchUp(pipeline.slots)
    way.read(database)
    for effects in later:
        while way.go_on():
            pass
        way.note(effects.to_store.blocks)
    while way.end(database):
        pass
    return way.take_up(database)


class House:
    """A pipeline, sensors, and a store that commits at the next step; time passes in steps of 50 ms.

    Parameters
    ----------
    sensors : iterable of Sensor
    trainings : iterable of Training
    pipeline : LivePipeline, optional
        One that goes on after a restart.
    now_us : int
        When this house begins.
    lendings : mapping of str to Lending, optional
        To whom devices are lent now; default: those that are worn, to one patient, since the start.
    """

    def __init__(
        self,
        sensors: Iterable[Sensor],
        trainings: Iterable[Training],
        *,
        pipeline: LivePipeline | None = None,
        now_us: int = START_US,
        lendings: Mapping[str, Lending] | None = None,
    ) -> None:
        self.sensors = list(sensors)
        self.pipeline = pipeline or LivePipeline(capacity=4, window_samples=1_000)
        self.now_us = now_us
        self.lendings = lendings
        self.is_storing = True
        self.has_room = True
        self.acks: list[tuple[str, Any]] = []
        self.requests: list[Outgoing] = []
        self.told: dict[str, bool] = {}
        """Of which devices a training session is open, as they were told last."""
        self.stored: dict[BlockKey, bytes] = {}
        self.effects: list[Effects] = []
        self.ended: list[EndedRepetition] = []
        self.frames: list[tuple[int, NDArray[np.void]]] = []
        self._uncommitted: list[Effects] = []
        self._arriving: list[Raw] = [each for sensor in self.sensors for each in (sensor.meta(), sensor.state())]
        self.places = self.follow(trainings)

    def follow(self, trainings: Iterable[Training]) -> Places:
        """Tell the pipeline who trains now."""
        names = frozenset(sensor.name for sensor in self.sensors) | {"heart-1", "heart-2"}
        trainings = tuple(trainings)
        worn = frozenset().union(*(training.worn | training.devices for training in trainings))
        lendings = self.lendings or dict.fromkeys(sorted(worn), Lending(PATIENT, START_US))
        self.places = Places(known_devices=names, trainings=trainings, lendings=lendings)
        self.pipeline.follow(self.places)
        return self.places

    def send(self, *raws: Raw) -> None:
        """Let messages arrive with the next step."""
        self._arriving += raws

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 1e6 / STEP_US)):
            self.now_us += STEP_US
            self._make_blocks()
            self._commit()
            arriving, self._arriving = self._arriving, []
            effects = self.pipeline.step(arriving, now_us=self.now_us, is_storing=self.is_storing)
            self._take(effects)

    def entries(self, training_session: int = 1) -> list[NDArray[np.void]]:
        """Return what the live frames said of a training session, one after another."""
        identifier = UUID(int=training_session).bytes
        return [
            entry
            for _, entries in self.frames
            for entry in entries
            if entry["training_session"].tobytes() == identifier
        ]

    def acknowledged(self, device: str) -> int:
        """Return the last watermark that a device has heard."""
        heard = [entries for topic, entries in self.acks if topic == f"ack/1/{device}"]
        return int(heard[-1][0][2]) if heard else 0

    def _make_blocks(self) -> None:
        for sensor in self.sensors:
            while sensor.due_us() + TRAVEL_US <= self.now_us:
                due_us = sensor.due_us()
                root = "bf" if sensor.is_silent else "rt"
                frame = sensor.make_block(flags=int(sensor.is_silent))
                raw = Raw(f"{root}/1/00/{sensor.name}/imu", frame, math.ceil(due_us) + TRAVEL_US)
                (sensor.kept if sensor.is_silent or sensor.is_delayed else self._arriving).append(raw)

    def _commit(self) -> None:
        if not self.is_storing:
            return
        keys = [key for effects in self._uncommitted for key in keys_of(effects.to_store)]
        for effects in self._uncommitted:
            self.stored.update({block.key: block.payload for block in effects.to_store.blocks})
        self._uncommitted.clear()
        self._answer(self.pipeline.committed(keys, now_us=self.now_us))

    def _take(self, effects: Effects) -> None:
        self.effects.append(effects)
        if self.has_room:
            self._uncommitted.append(effects)
        else:
            self.pipeline.refused(effects, now_us=self.now_us)
        self.ended += effects.ended
        if effects.live_frame is not None:
            self.frames.append((self.now_us, decode_live_frame(effects.live_frame)[1]))
        self._answer(effects.outgoing)

    def _answer(self, outgoing: Iterable[Outgoing]) -> None:
        for message in outgoing:
            if message.topic.startswith("ack/"):
                self.acks.append((message.topic, json.loads(message.payload)))
            elif message.topic.endswith("/resend"):
                self.requests.append(message)
            elif message.topic.endswith("/session"):
                self.told[message.topic.split("/")[2]] = json.loads(message.payload)["open"]
            answers = [sensor.answer(message, now_us=self.now_us) for sensor in self.sensors]
            self._arriving += [answer for answer in answers if answer is not None]
