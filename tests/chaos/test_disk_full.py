"""A full disk: nothing is acknowledged, the live view goes on and says so; once there is room, all is stored."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from telerehab.live_frame import FLAG_NOT_STORED
from tests.chaos.test_intake_survives import assert_nothing_is_lost, let_it_end
from tests.chaos.world import World, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.mount]

DISK_BYTES: Final = 32 * 1024 * 1024
BALLAST: Final = "ballast"
HOST: Final = {"Host": "localhost"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a world whose data lie on a small disk of their own; the truth and the logs do not."""
    disk = tmp_path / "data"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=True)
    try:
        with World(tmp_path) as world:
            yield world
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_acknowledges_nothing_shows_on_and_recovers_by_itself(world: World) -> None:
    for role in ("broker", "ingest", "web"):
        process = world.start_role(role)
    ingest = world.processes["ingest"]
    world.start_simulator()
    training = world.homes[0].training_session_id
    with world.watch_live() as live:
        wait_until(lambda: world.stored_block_count() > 60 and live[training].flags, timeout_s=20)
        assert parts_of(world)["disk"] == parts_of(world)["role ingest"] == "ok"
        fill(world.settings.data_dir)
        wait_until(lambda: live[training].flags[-1] & FLAG_NOT_STORED, timeout_s=20)
        stored_count, made_count, shown_count = (
            world.stored_block_count(),
            len(world.true_blocks()),
            len(live[training].flags),
        )
        wait_until(lambda: len(world.true_blocks()) > made_count + 60, timeout_s=20)
        assert world.stored_block_count() == stored_count
        assert len(live[training].flags) > shown_count + 20, "the live view goes on"
        assert all(flags & FLAG_NOT_STORED for flags in live[training].flags[shown_count:]), "and says all the while"
        assert min(live[training].ages_ms[shown_count:]) < 1_000
        assert parts_of(world)["disk"] != "ok"
        wait_until(lambda: parts_of(world)["role ingest"] != "ok", timeout_s=20)
        (world.settings.data_dir / BALLAST).unlink()
        wait_until(lambda: live[training].flags[-1] == 0, timeout_s=20)
        wait_until(lambda: parts_of(world)["role ingest"] == parts_of(world)["disk"] == "ok", timeout_s=20)
    assert ingest.poll() is None
    assert process.poll() is None
    let_it_end(world)
    assert_nothing_is_lost(world)


def fill(folder: Path) -> None:
    """Write until the disk takes nothing more."""
    with (folder / BALLAST).open("wb", buffering=0) as ballast:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError:
                continue


def parts_of(world: World) -> dict[str, Any]:
    """Return what `/readyz` says of each part."""
    request = urllib.request.Request(f"http://127.0.0.1:{world.settings.web_port}/readyz", headers=HOST)
    try:
        with urllib.request.urlopen(request) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:  # 503, with the same body
        said = json.load(error)
    parts: dict[str, Any] = said["parts"]
    return parts
