"""Watches the limits of all training sessions on the live stream; the rules are `telerehab.care.safety`.

What is found leaves with the next step, to be committed and then announced. Values count at the moment at which they
were taken (`taken_at`), so that those that a stalled link brings together are not one moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.wire import EventCode, Schema
from telerehab.attribution import Lending
from telerehab.care.safety import Limits, Observation, SafetyEvent, Watch, confirm, step
from telerehab.intake.places import Places, Training
from telerehab.intake.taken_at import TakenAt

GUARDED_SCHEMAS: Final = frozenset({Schema.HEART, Schema.SPO2, Schema.EVENTS})
LOOK_INTERVAL_US: Final = 1_000_000
ROWS_MAX: Final = 1_000  # of one block: the newest; a strap sends one or two

_FIELD_OF: Final[Mapping[Schema, str]] = MappingProxyType(
    {Schema.HEART: "heart_rate", Schema.SPO2: "percent", Schema.EVENTS: "code"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundEvent:
    """A limit of a training session has been passed."""

    training_session: UUID
    event: SafetyEvent


@dataclass(kw_only=True, slots=True)
class _Guarded:
    """One training session that is watched."""

    training: Training
    limits: Limits
    values: Watch = field(default_factory=Watch)
    streams: Watch = field(default_factory=Watch)
    """Apart from the values, so that what these amount to does not depend on when somebody looked."""


class Guard:
    """What the rules remember of every training session that is judged."""

    def __init__(self) -> None:
        self.lendings: Mapping[str, Lending] = {}
        """To whom devices are lent now, as the places say that it follows."""
        self._guarded: dict[UUID, _Guarded] = {}
        self._worn_by: dict[str, _Guarded] = {}
        self._taken_at = TakenAt()
        self._heard: set[str] = set()
        self._found: list[FoundEvent] = []
        self._look_us = 0

    @property
    def trainings(self) -> list[Training]:
        """Return the training sessions that are watched, also those for whose analysis there is no room."""
        return [guarded.training for guarded in self._guarded.values()]

    def follow(self, places: Places) -> None:
        """Watch the training sessions that are open and judged; begin anew where somebody let the patient go on."""
        self.lendings = places.lendings
        judged = {training.id: training for training in places.trainings if training.limits is not None}
        for training_session in self._guarded.keys() - judged.keys():
            del self._guarded[training_session]
        self._worn_by.clear()
        for training in judged.values():
            assert training.limits is not None
            guarded = _Guarded(training=training, limits=training.limits)
            known = self._guarded.get(training.id)
            if known is not None:
                is_confirmed = training.confirmed_us > known.training.confirmed_us
                guarded.values = confirm(known.values) if is_confirmed else known.values
                guarded.streams = known.streams
            self._guarded[training.id] = guarded
            self._worn_by.update(dict.fromkeys(training.worn | training.devices, guarded))
        self._taken_at.forget_others(frozenset(self._worn_by))

    def note_heard(self, devices: Iterable[str]) -> None:
        """Note that something arrived of these devices."""
        self._heard.update(devices)

    def note_block(self, device: str, header: np.void, schema: Schema, rows: NDArray[Any], *, received_us: int) -> None:
        """Judge one block of `GUARDED_SCHEMAS` that came as live data; HEADER_DTYPE, shape (n_rows,). [µs]"""
        if device in self._worn_by and rows.size:
            device_us = int(header["t0_us"]) + int(rows["delta_us"][-1])
            boot = int(header["boot"])
            last_us = self._taken_at.of_live(device, boot=boot, device_us=device_us, received_us=received_us)
            self.note_rows(device, schema, rows, last_us=last_us)

    def note_rows(self, device: str, schema: Schema, rows: NDArray[Any], *, last_us: int) -> None:
        """Judge the rows of one block of `GUARDED_SCHEMAS`.

        Parameters
        ----------
        rows : ndarray, shape (n_rows,)
            Of the schema's dtype.
        last_us : int
            When the last row was taken, by the server's clock. [µs]
        """
        guarded = self._worn_by.get(device)
        if guarded is None or not rows.size:
            return
        rows = rows[-ROWS_MAX:]
        before_last_us = int(rows["delta_us"][-1]) - rows["delta_us"].astype("i8")
        for value, before_us in zip(rows[_FIELD_OF[schema]].tolist(), before_last_us.tolist(), strict=True):
            at_us = last_us - max(before_us, 0)
            if at_us > guarded.training.confirmed_us:
                guarded.values, events = step(guarded.values, _observe(schema, value), guarded.limits, at_us=at_us)
                self._note_found(guarded, events)

    def look(self, now_us: int) -> Sequence[FoundEvent]:
        """Return what was found since the last call; about once a second look for streams that fell silent."""
        if now_us - self._look_us >= LOOK_INTERVAL_US:
            self._look_us = now_us
            heard, self._heard = self._heard, set()
            for guarded in self._guarded.values():
                silent = Observation(heard=tuple(sorted(guarded.training.devices & heard)))
                guarded.streams, events = step(guarded.streams, silent, guarded.limits, at_us=now_us)
                self._note_found(guarded, events)
        found, self._found = self._found, []
        return found

    def _note_found(self, guarded: _Guarded, events: Iterable[SafetyEvent]) -> None:
        self._found += [FoundEvent(training_session=guarded.training.id, event=event) for event in events]


def _observe(schema: Schema, value: int) -> Observation:
    """Return what one row says."""
    if schema is Schema.HEART:
        return Observation(heart_rate_per_min=value)
    if schema is Schema.SPO2:
        return Observation(spo2_percent=value)
    return Observation(has_fall_hint=value == EventCode.FALL_HINT)
