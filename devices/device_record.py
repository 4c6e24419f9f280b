"""What the intake remembers of one device, and when it is due an acknowledgement, a probe or a request. Pure."""

import json
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from devices.clock_sync import ClockFit, ClockSync
from devices.effects import ClockFitted, Outgoing, StreamKey
from devices.sequencer import StreamSequence
from devices.topics import CommandName, ack_topic, clock_topic, command_topic
from devices.wire import CLOCK_PROBE

ACK_PERIOD_US: Final = 1_000_000
QUIET_AFTER_US: Final = 10_000_000
"""A device that has not been heard for this long is neither probed nor asked; the next message makes it online."""
PROBE_PERIOD_US: Final = 5_000_000
FIRST_PROBES_PERIOD_US: Final = 1_000_000
FIRST_PROBES: Final = 5
MAX_OPEN_PROBES: Final = 4
MAX_CLOCKS: Final = 4
KEEP_FIT_PERIOD_US: Final = 60_000_000
KEEP_FIT_MOVED_US: Final = 1_000
FIRST_RESEND_US: Final = 500_000
RESEND_US: Final = 1_500_000
RESEND_MAX_US: Final = 30_000_000
RESEND_SOON_US: Final = 200_000
RESEND_CREDIT: Final = 20
MAX_ACK_ENTRIES: Final = 64
MOVE_PERIOD_US: Final = 5_000_000
_PROBE: Final = struct.Struct("<BQ")  # as CLOCK_PROBE_DTYPE, ten times as fast for a single one


class DeviceRecord:
    """One device, the `number`-th; `streams` holds the sequence of every (boot, stream) that is followed."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.streams: dict[StreamKey, StreamSequence] = {}
        self.boot: int | None = None
        self.has_told_boot = False
        self.quarantine_hour = -1
        self.quarantine_count = self.quarantine_bytes = 0
        self._owed: dict[StreamKey, None] = {}
        self._acked_us = -ACK_PERIOD_US
        self._holed: dict[StreamKey, None] = {}
        self.next_resend_us = 0
        self._resend_wait_us = RESEND_US
        self._clocks: dict[int, ClockSync] = {}
        self._kept_fits: dict[int, tuple[ClockFit, int]] = {}
        self._open_probes: deque[int] = deque(maxlen=MAX_OPEN_PROBES)
        self.next_probe_us = 0
        self._answers = self._probe_count = 0
        self._next_move_us = 0

    def come_online(self, now_us: int) -> None:
        """Begin anew with a device that has just connected: tell it how far it is, ask for its clock."""
        self._acked_us = now_us - ACK_PERIOD_US
        self.owe_all()
        self.next_probe_us = now_us
        self._resend_wait_us = RESEND_US
        self.next_resend_us = min(self.next_resend_us, now_us + FIRST_RESEND_US)

    def restart(self, boot: int) -> None:
        """Note a new boot: what was asked of the old clock is void."""
        if boot != self.boot:
            self.boot = boot
            self._open_probes.clear()
            self._answers = self._probe_count = 0

    # --- acknowledgements -------------------------------------------------------------------------------------------

    @property
    def is_owed(self) -> bool:
        """Tell whether something is to be acknowledged."""
        return bool(self._owed)

    def owe(self, key: StreamKey) -> None:
        """Note that a watermark moved, or that the device does not know it."""
        self._owed[key] = None

    def owe_all(self) -> None:
        """Note that the device may know none of its watermarks."""
        self._owed.update(dict.fromkeys(self.streams))

    def take_ack(self, now_us: int) -> Outgoing | None:
        """Return the acknowledgement that is due, at most one a second."""
        if not self._owed or now_us - self._acked_us < ACK_PERIOD_US:
            return None
        self._acked_us = now_us
        keys = list(self._owed)[-MAX_ACK_ENTRIES:]
        for key in keys:
            del self._owed[key]
        entries = [[key.boot, key.stream, self.streams[key].watermark] for key in keys if key in self.streams]
        return Outgoing(ack_topic(self.name), _json(entries), 0) if entries else None

    # --- holes ------------------------------------------------------------------------------------------------------

    @property
    def has_holes(self) -> bool:
        """Tell whether anything is missing."""
        return bool(self._holed)

    def see_holes(self, key: StreamKey, now_us: int, *, has_progress: bool) -> None:
        """Note that the holes of a stream changed; progress makes the next request come soon."""
        if self.streams[key].holes:
            self._holed[key] = None
        else:
            self._holed.pop(key, None)
        if has_progress:
            self._resend_wait_us = RESEND_US
            self.next_resend_us = min(self.next_resend_us, now_us + RESEND_SOON_US)
        else:
            self.next_resend_us = min(self.next_resend_us, now_us + FIRST_RESEND_US)

    def take_requests(self, now_us: int) -> list[Outgoing]:
        """Return the commands that ask for what is missing: oldest first, bounded, ever more rarely in vain."""
        if not self._holed or now_us < self.next_resend_us:
            return []
        holes = sorted(
            (hole.seen_at_us, key, hole.start, hole.stop)
            for key in self._holed
            if key in self.streams
            for hole in self.streams[key].holes[:RESEND_CREDIT]
        )
        requests: list[Outgoing] = []
        credit = RESEND_CREDIT
        for seen_at_us, key, start, stop in holes:
            if credit and now_us - seen_at_us >= FIRST_RESEND_US:
                count = min(credit, stop - start)
                credit -= count
                request = {
                    "boot": key.boot,
                    "stream": key.stream,
                    "from": start,
                    "to": start + count,
                    "credit": count,
                }
                requests.append(Outgoing(command_topic(self.name, CommandName.RESEND), _json(request), 1))
        if requests:
            self.next_resend_us = now_us + self._resend_wait_us
            self._resend_wait_us = min(2 * self._resend_wait_us, RESEND_MAX_US)
        else:
            self.next_resend_us = now_us + RESEND_SOON_US
        return requests

    # --- shard ------------------------------------------------------------------------------------------------------

    def take_move(self, shard: str, now_us: int) -> list[Outgoing]:
        """Return the command to send on another shard; now and then, as long as frames come elsewhere."""
        if now_us < self._next_move_us:
            return []
        self._next_move_us = now_us + MOVE_PERIOD_US
        return [Outgoing(command_topic(self.name, CommandName.SHARD), _json({"shard": shard}), 1)]

    # --- clock ------------------------------------------------------------------------------------------------------

    def take_probe(self, now_us: int) -> Outgoing:
        """Return the time probe that is due, and set `next_probe_us`."""
        self.next_probe_us = now_us + (FIRST_PROBES_PERIOD_US if self._probe_count < FIRST_PROBES else PROBE_PERIOD_US)
        self._probe_count += 1
        self._open_probes.append(now_us)
        return Outgoing(clock_topic(self.name), _PROBE.pack(CLOCK_PROBE, now_us), 0)

    def take_answer(self, s1_us: int, d2_us: int, d3_us: int, s4_us: int) -> bool:
        """Use an answer to an open probe; False if it is of none, or cannot be true."""
        if s1_us not in self._open_probes or self.boot is None:
            return False
        self._open_probes.remove(s1_us)
        clock = self._clocks.get(self.boot)
        if clock is None:
            while len(self._clocks) >= MAX_CLOCKS:
                forgotten = next(iter(self._clocks))
                del self._clocks[forgotten]
                self._kept_fits.pop(forgotten, None)
            clock = self._clocks[self.boot] = ClockSync()
        if not clock.add_probe(s1_us, d2_us, d3_us, s4_us):
            return False
        self._answers += 1
        return True

    def take_fit(self, device_us: int) -> ClockFitted | None:
        """Return the present fit if it is worth keeping: early, moved, or the last one is old."""
        boot = self.boot
        if boot is None or boot not in self._clocks:
            return None
        fit = self._clocks[boot].fit()
        if fit is None:
            return None
        if boot in self._kept_fits and self._answers > FIRST_PROBES:
            kept, kept_at_us = self._kept_fits[boot]
            moved_us = abs(kept.to_server_us(device_us) - fit.to_server_us(device_us))
            if moved_us < KEEP_FIT_MOVED_US and 0 <= device_us - kept_at_us < KEEP_FIT_PERIOD_US:
                return None
        self._kept_fits[boot] = fit, device_us
        return ClockFitted(device=self.name, boot=boot, from_us=device_us, fit=fit)


def _json(value: Sequence[object] | Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
