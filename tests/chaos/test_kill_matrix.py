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

from tests.chaos.test_disk_full import BALLAST, fill
from tests.chaos.test_intake_survives import assert_nothing_is_lost, has_made, let_it_end
from tests.chaos.world import World, wait_until

pytestmark = pytest.mark.chaos

DISK_BYTES: Final = 64 * 1024 * 1024
FULL_BLOCKS_PER_DEVICE: Final = 200
"""What a movement sensor makes in 20 s."""
N_HOMES: Final = 4
LONG_BLOCKS: Final = 12_000
SEEDS: Final = tuple(range(1, 6))


@pytest.mark.mosquitto
def test_nothing_is_lost_when_ingest_and_broker_die_in_turn(tmp_path: Path) -> None:
    with World(tmp_path, n_homes=2) as world:
        begin(world, "mosquitto")
        run_through(world, "mosquitto", kills=["ingest", "mosquitto", "ingest"], seed=1, block_count=400)
        assert_all_is_there(world)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.mosquitto
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(["ingest"] * 8, id="ingest eight times"),
        pytest.param(["mosquitto"] * 4, id="broker four times"),
        pytest.param(["ingest"] * 8 + ["mosquitto"] * 4, id="both"),
    ],
)
def test_kill_matrix_on_mosquitto(tmp_path: Path, kills: Sequence[str], seed: int) -> None:
    with World(tmp_path, n_homes=N_HOMES) as world:
        begin(world, "mosquitto", seed=seed)
        run_through(world, "mosquitto", kills=kills, seed=seed, block_count=LONG_BLOCKS)
        assert_all_is_there(world)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_kill_matrix_on_the_embedded_broker(tmp_path: Path) -> None:
    with World(tmp_path, n_homes=N_HOMES) as world:
        begin(world, "broker")
        kills = ["ingest"] * 8 + ["broker"] * 4
        run_through(world, "broker", kills=kills, seed=1, block_count=LONG_BLOCKS)
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
@pytest.mark.mosquitto
@pytest.mark.mount
@pytest.mark.parametrize("seed", SEEDS)
def test_kill_matrix_with_a_full_disk(small_disk: Path, seed: int) -> None:
    with World(small_disk, n_homes=N_HOMES) as world:
        begin(world, "mosquitto", seed=seed)
        made = len(world.true_blocks())
        fill(world.settings.data_dir)
        full_count = made + FULL_BLOCKS_PER_DEVICE * len(world.sites) * N_HOMES
        wait_until(lambda: len(world.true_blocks()) > full_count, timeout_s=60)
        (world.settings.data_dir / BALLAST).unlink()
        run_through(world, "mosquitto", kills=["ingest"], seed=seed, block_count=LONG_BLOCKS)
        assert_all_is_there(world)


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


def run_through(world: World, broker: str, *, kills: Sequence[str], seed: int, block_count: int) -> None:
    """Kill in an order and at moments that the seed draws; go on until enough blocks were made, then end in peace."""
    chance = random.Random(seed)
    order = list(kills)
    chance.shuffle(order)
    for until in sorted(chance.randrange(block_count) for _ in order):
        name = order.pop()
        wait_until(partial(has_made, world, until), timeout_s=300)
        world.kill(name)
        start(world, name)
    wait_until(lambda: len(world.true_blocks()) >= block_count, timeout_s=300)
    let_it_end(world)


def assert_all_is_there(world: World) -> None:
    """Compare with the truth by digests, and say how much was sent for it.

    Nothing is claimed of that share: it grows with the time that a role takes to start.
    """
    assert_nothing_is_lost(world)
    devices: dict[str, Any] = json.loads(world.output_of("simulator"))["devices"]
    made = sum(each["produced"] for each in devices.values())
    assert made == len(world.true_blocks())
    share = sum(each["sent"] for each in devices.values()) / made
    sys.stderr.write(f"{made} blocks made, {share:.3f} times as many sent\n")
