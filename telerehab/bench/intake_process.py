"""The role ingest as its own process, with a ring beside it and a look at when blocks are in a ring.

`python -m telerehab.bench.intake_process --out FILE --devices 1000` runs what `telerehab serve --role ingest` runs, and
writes each block also into a ring of 30 s of every device: the live grid only holds those who train. With `--devices 0`
there is no ring but the live grid's. It ends with SIGTERM.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from devices.effects import LiveBatch
from devices.ring import Ring
from telerehab.clock import SystemClock
from telerehab.db.engine import open_database
from telerehab.live_pipeline import LivePipeline
from telerehab.roles.ingest import Intake
from telerehab.roles.process import set_up_logging, wish_to_end
from telerehab.settings import load_settings

WINDOW: Final = 3_000


class WatchedPipeline(LivePipeline):
    """Notes how long blocks took from their last sample, and from their arrival, until a ring had them. [µs]"""

    def __init__(self, *, n_devices: int) -> None:
        super().__init__()
        self.ring = Ring(n_devices, WINDOW) if n_devices else None
        self.since_sample_us: list[np.ndarray[Any, Any]] = []
        self.since_arrival_us: list[np.ndarray[Any, Any]] = []
        self._slots: dict[str, int] = {}
        self._started = np.zeros(0, np.int64)  # by stream: its slot

    def _show(self, batch: LiveBatch) -> None:
        super()._show(batch)
        if self.ring is not None:
            self._write(self.ring, batch)
        now_us = time.time_ns() // 1000
        headers = batch.headers
        stop_us = headers["t0_us"] + headers["n_samples"].astype(np.uint64) * headers["period_us"]
        self.since_sample_us.append(now_us - stop_us.astype(np.int64))
        self.since_arrival_us.append(now_us - batch.received_us)

    def _write(self, ring: Ring, batch: LiveBatch) -> None:
        for stream_id in range(self._started.size, len(self.ingest.stream_keys)):
            slot = self._slots.setdefault(self.ingest.stream_keys[stream_id].device, len(self._slots))
            self._started = np.append(self._started, slot)
            first = np.flatnonzero(batch.stream_ids == stream_id)
            ring.assign(slot, int(batch.headers["t0_us"][first[0]]) if first.size else 0)
        ring.write(self._started[batch.stream_ids], batch.headers, batch.rows)


def summarise(pipeline: WatchedPipeline, status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the bench wants to know, ready for JSON."""
    said: dict[str, Any] = {"status": dict(status)}
    for name, parts in (("since_sample", pipeline.since_sample_us), ("since_arrival", pipeline.since_arrival_us)):
        all_us = np.concatenate(parts) if parts else np.zeros(1)
        said[name] = {"p50_ms": float(np.median(all_us)) / 1e3, "p95_ms": float(np.percentile(all_us, 95)) / 1e3}
    ring = pipeline.ring
    said["n_columns_with_samples"] = int(
        (pipeline.slots.grid.ring.heads if ring is None else ring.heads).astype(bool).sum()
    )
    return said


def main() -> int:
    """Run until SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m telerehab.bench.intake_process")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--devices", type=int, required=True)
    options = parser.parse_args()
    settings = load_settings()
    set_up_logging(settings, role="ingest")
    wish = wish_to_end()
    database = open_database(settings)
    intake = Intake(settings, database, clock=SystemClock())
    pipeline = intake._pipeline = WatchedPipeline(n_devices=options.devices)
    try:
        intake.start()
        exit_code = intake.run(wish)
    finally:
        intake.close()
        options.out.write_text(json.dumps(summarise(pipeline, intake.status())))
        database.close()
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
