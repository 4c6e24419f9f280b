"""Ingest and broker killed again and again, the disk full: in the end all is stored, unchanged."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text

from telerehab.db.engine import reading
from tests.chaos.test_disk_full import BALLAST, fill
from tests.chaos.test_intake_survives import assert_nothing_is_lost, has_made, let_it_end
from tests.chaos.world import World, wait_until

pytestmark = pytest.mark.chaos

DISK_BYTES: Final = 64 * 1024 * 1024
FULL_S: Final = 20
BLOCKS_PER_S: Final = 10
N_HOMES: Final = 2
BLOCK_COUNT: Final = 12_000
SENT_SHARE_MAX: Final = 1.4
SEEDS: Final = tuple(range(1, 6))
FAULTS: Final = (*["ingest"] * 8, *["broker"] * 4, "both", "full disk")


@pytest.mark.mosquitto
def test_nothing_is_lost_when_ingest_and_broker_die_in_turn(tmp_path: Path) -> None:
    with World(tmp_path, n_homes=2) as world:
        begin(world, "mosquitto")
        run_through(world, "mosquitto", faults=["ingest", "broker", "ingest"], seed=1, block_count=400)
        assert_all_is_there(world)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose `data` is a small disk of its own."""
    disk = tmp_path / "data"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.mount
@pytest.mark.parametrize(
    ("broker", "seed"),
    [*(pytest.param("mosquitto", seed, marks=pytest.mark.mosquitto) for seed in SEEDS), ("broker", 1)],
)
def test_kill_matrix(small_disk: Path, broker: str, seed: int) -> None:
    with World(small_disk, n_homes=N_HOMES) as world:
        begin(world, broker, seed=seed)
        run_through(world, broker, faults=FAULTS, seed=seed, block_count=BLOCK_COUNT)
        share = assert_all_is_there(world)
        assert share <= SENT_SHARE_MAX


def begin(world: World, broker: str, *, seed: int = 1) -> None:
    """Start all; blocks are being stored when it returns."""
    start(world, broker)
    world.start_role("ingest")
    world.start_simulator(options=["--seed", str(seed), "--drain", "60"])
    wait_until(lambda: world.stored_block_count() > 40, timeout_s=30)


def start(world: World, name: str) -> None:
    if name == "mosquitto":
        world.start_mosquitto()
    else:
        world.start_role(name)


def run_through(world: World, broker: str, *, faults: Sequence[str], seed: int, block_count: int) -> None:
    """Do harm in an order and at moments that the seed draws; go on until enough blocks were made, end in peace."""
    chance = random.Random(seed)
    order = list(faults)
    chance.shuffle(order)
    for fault, until in zip(order, sorted(chance.randrange(block_count) for _ in order), strict=True):
        wait_until(partial(has_made, world, until), timeout_s=300)
        if fault == "full disk":
            fill_for_a_while(world)
            continue
        names = {"ingest": ["ingest"], "broker": [broker], "both": [broker, "ingest"]}[fault]
        for name in names:
            world.kill(name)
        for name in names:
            start(world, name)
    wait_until(lambda: len(world.true_blocks()) >= block_count, timeout_s=300)
    let_it_end(world)


def fill_for_a_while(world: World) -> None:
    """Leave no room on the disk for so many blocks as are made in `FULL_S`."""
    fill(world.settings.data_dir)
    enough = len(world.true_blocks()) + FULL_S * BLOCKS_PER_S * len(world.sites) * len(world.homes)
    wait_until(partial(has_made, world, enough), timeout_s=2 * FULL_S)
    (world.settings.data_dir / BALLAST).unlink()


def assert_all_is_there(world: World) -> float:
    """Compare with the truth by digests and see that no gap was left open; return how much was sent for it."""
    assert_nothing_is_lost(world)
    with reading(world.database.hot) as db:
        gaps = db.connection().execute(text("SELECT cause, closed_at_us FROM gap")).all()
    assert all(cause == "filled" and closed_at_us is not None for cause, closed_at_us in gaps)
    devices: dict[str, Any] = json.loads(world.output_of("simulator"))["devices"]
    made = sum(each["produced"] for each in devices.values())
    assert made == len(world.true_blocks())
    share: float = sum(each["sent"] for each in devices.values()) / made
    sys.stderr.write(f"{made} blocks made, {share:.3f} times as many sent, {len(gaps)} gaps were filled\n")
    return share
