"""The example for device makers on the real chain: what it made is stored, bit by bit, also over a killed intake."""

import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from devices.wire import HEADER_SIZE
from telerehab.db.engine import reading
from tests.chaos.world import SPARE_DEVICE, World, wait_until

pytestmark = pytest.mark.chaos

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "minimal_device.py"
SECONDS = 10
LINES_MAX = 200


def test_the_example_is_short_and_needs_nothing_but_python() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert len(lines) < LINES_MAX
    imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names


@pytest.mark.mosquitto
def test_everything_that_the_example_made_is_stored_also_over_a_killed_intake(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.start_mosquitto()
        world.start_role("ingest")
        made = run_example(world)
        assert made["made"] == made["acknowledged"] >= 9 * SECONDS
        with reading(world.database.hot) as db:
            found = db.connection().execute(
                text("SELECT boot, sequence, t0_us, payload FROM block WHERE device = :name ORDER BY sequence"),
                {"name": SPARE_DEVICE},
            )
            stored = [(boot, sequence, t0_us, frame[HEADER_SIZE:]) for boot, sequence, t0_us, frame in found]
            open_gaps = text("SELECT count(*) FROM gap WHERE closed_at_us IS NULL")
            assert db.connection().execute(open_gaps).scalar_one() == 0
            fits = text("SELECT count(*) FROM clock_fit WHERE device = :name")
            assert db.connection().execute(fits, {"name": SPARE_DEVICE}).scalar_one() >= 1, "its clock is known"
        assert stored == [
            (made["boot"], sequence, 7_000_000 + 100_000 * sequence, body_of(sequence))
            for sequence in range(made["made"])
        ]


def run_example(world: World) -> dict[str, int]:
    """Let the example run for its time, kill intake in the middle; return what the example says in the end."""
    arguments = ["127.0.0.1", str(world.device_port), SPARE_DEVICE, "00", str(SECONDS)]
    process = subprocess.Popen(
        [sys.executable, EXAMPLE, *arguments],
        env={**os.environ, "DEVICE_PASSWORD": world.passwords[SPARE_DEVICE]},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: world.stored_block_count() >= 30, timeout_s=30)
        world.kill("ingest")
        world.start_role("ingest")
        out, _ = process.communicate(timeout=90)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    said: dict[str, int] = json.loads(out)
    return said


def body_of(sequence: int) -> bytes:
    """Return the rows of a frame, ten samples of the wave that the example makes."""
    waves = [round(2000 * math.sin(index / 50)) for index in range(10 * sequence, 10 * sequence + 10)]
    return b"".join(struct.pack("<6h", wave, 0, 4096, 0, wave // 2, 0) for wave in waves)
