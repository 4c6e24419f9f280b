"""Real processes, killed and attacked: what a device made is in the database afterwards, all of it and unchanged."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from devices.broker_client import BrokerClient
from devices.topics import backfill_topic, live_topic, meta_topic, state_topic
from telerehab.db.engine import reading
from telerehab.db.repositories.ledgers import read_training_ledger
from telerehab.db.tables import TrainingSession
from tests.chaos.world import SPARE_DEVICE, Home, LiveWatch, World, wait_until
from tests.telerehab.db.postgres import PostgresServer

pytestmark = pytest.mark.chaos

GARBAGE_COUNT = 10_000
MEMORY_GROWTH_MAX_BYTES = 8 * 1024 * 1024
SILENCE_MAX_S = 3.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def let_it_end(world: World) -> None:
    """Stop the simulated homes; they end when every block they kept is acknowledged."""
    assert world.stop("simulator", timeout_s=25) == 0, "devices still keep blocks that nobody acknowledged"


def assert_nothing_is_lost(world: World) -> None:
    made, stored = world.true_blocks(), world.stored_blocks()
    assert len(made) > 100
    assert made - stored == set()
    assert {block for block in stored if block.device != SPARE_DEVICE} == made


def assert_account_is_right(world: World, home: Home) -> None:
    """The account of the training session has every block that was made, once, and tells which came late."""
    with reading(world.database.main) as db, reading(world.database.hot) as hot:
        row = db.get_one(TrainingSession, home.training_session_id)
        streams = read_training_ledger(db, hot, row, now=datetime.now(UTC)).streams
    assert {stream.device: stream.received_count for stream in streams} == Counter(
        block.device for block in world.true_blocks()
    )
    assert {stream.expected_count - stream.received_count for stream in streams} == {0}
    assert all(stream.late_count > 0 for stream in streams), "nobody was there to take them at once"


def test_no_block_and_no_repetition_is_lost_when_ingest_is_killed_twice_in_a_set(world: World) -> None:
    home = world.homes[0]
    world.start_role("broker")
    world.start_role("ingest")
    world.start_simulator(options=["--still", "4"])
    with world.watch_live() as live:
        for repetition_count in (1, 2):
            wait_until(partial(has_stored, world, home, repetition_count), timeout_s=25)
            world.kill("ingest")
            made_before = len(world.true_blocks())
            wait_until(partial(has_made, world, made_before + 20), timeout_s=5)
            seen = len(live[home.training_session_id].repetitions)
            world.start_role("ingest")
            wait_until(partial(has_shown, live, home, seen + 20), timeout_s=10)
            assert min(live[home.training_session_id].repetitions[seen:]) >= repetition_count
        wait_until(lambda: live[home.training_session_id].flags[-1] == 0, timeout_s=5)
        assert live[home.training_session_id].ages_ms[-1] < 1_000
        counted = live[home.training_session_id].repetitions[-1]
        wait_until(lambda: live[home.training_session_id].repetitions[-1] > counted, timeout_s=15)
    let_it_end(world)
    assert_nothing_is_lost(world)
    assert_account_is_right(world, home)
    assert world.stop("ingest") == 0
    assert world.stored_repetition_count(home) == len(world.true_repetitions(home)) >= 3


@pytest.mark.mosquitto
def test_no_block_is_lost_over_mosquitto_either(world: World) -> None:
    world.start_mosquitto()
    world.start_role("ingest")
    world.start_simulator(options=["--still", "2"])
    wait_until(lambda: world.stored_block_count() > 40, timeout_s=20)
    world.kill("ingest")
    made_before = len(world.true_blocks())
    wait_until(lambda: len(world.true_blocks()) > made_before + 60, timeout_s=10)
    world.start_role("ingest")
    let_it_end(world)
    assert_nothing_is_lost(world)


@pytest.mark.postgres
def test_no_block_and_no_repetition_is_lost_on_postgresql_either(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with World(tmp_path, database_url=postgres_server.create_database()) as world:
        assert {engine.dialect.name for engine in (world.database.main, world.database.hot)} == {"postgresql"}
        home = world.homes[0]
        world.start_role("broker")
        world.start_role("ingest")
        world.start_simulator(options=["--still", "4", "--loss", "0.01", "--duplicates", "0.02"])
        wait_until(partial(has_stored, world, home, 1), timeout_s=25)
        let_it_end(world)
        assert_nothing_is_lost(world)
        assert world.stop("ingest") == 0
        assert world.stored_repetition_count(home) == len(world.true_repetitions(home))


def test_garbage_and_damaged_frames_cost_no_good_block_and_no_memory(world: World) -> None:
    world.start_role("broker")
    world.start_role("ingest")
    world.start_simulator(options=["--corrupt", "0.01"])
    wait_until(lambda: world.stored_block_count() > 60, timeout_s=20)
    publisher = BrokerClient(
        "127.0.0.1",
        world.settings.mqtt_port,
        username=SPARE_DEVICE,
        password=world.passwords[SPARE_DEVICE],
        has_echo=False,
    )
    publisher.start()
    wait_until(lambda: publisher.is_connected, timeout_s=5)
    publish_garbage(publisher, count=500, seed=1)  # what it costs once is not what it costs per message
    wait_until(lambda: refused_count(world) >= 450, timeout_s=10)
    resident_bytes = world.resident_bytes("ingest")
    publish_garbage(publisher, count=GARBAGE_COUNT, seed=2)
    wait_until(lambda: refused_count(world) >= 0.95 * GARBAGE_COUNT, timeout_s=40)
    grown_bytes = world.resident_bytes("ingest") - resident_bytes
    publisher.close()
    let_it_end(world)
    assert_nothing_is_lost(world)
    assert grown_bytes < MEMORY_GROWTH_MAX_BYTES, f"ingest grew by {grown_bytes / 2**20:.1f} MiB"


def test_a_login_with_the_client_id_of_ingest_and_a_wrong_password_stops_it_only_briefly(world: World) -> None:
    world.start_role("broker")
    world.start_role("ingest")
    world.start_simulator()
    wait_until(lambda: world.stored_block_count() > 60, timeout_s=20)
    client_id = world.log_of("ingest").rpartition("connecting to the broker as ")[2].partition('"')[0]
    assert client_id.startswith("ingest-")
    connect_with_wrong_password(world, client_id)
    longest_silence_s, counted, last_s = 0.0, world.stored_block_count(), time.monotonic()
    until_s = last_s + 7
    while time.monotonic() < until_s:
        time.sleep(0.05)
        now_s, now_counted = time.monotonic(), world.stored_block_count()
        longest_silence_s = max(longest_silence_s, now_s - last_s)
        if now_counted > counted:
            counted, last_s = now_counted, now_s
    assert longest_silence_s < SILENCE_MAX_S
    let_it_end(world)
    assert_nothing_is_lost(world)


def has_stored(world: World, home: Home, repetition_count: int) -> bool:
    return world.stored_repetition_count(home) >= repetition_count


def has_made(world: World, block_count: int) -> bool:
    return len(world.true_blocks()) >= block_count


def has_shown(live: Mapping[UUID, LiveWatch], home: Home, frame_count: int) -> bool:
    return len(live[home.training_session_id].repetitions) >= frame_count


def publish_garbage(publisher: BrokerClient, *, count: int, seed: int) -> None:
    """Send what no device should: noise, cut frames, headers of nonsense, broken JSON, on all topics of a device."""
    rng = random.Random(seed)
    topics = [
        live_topic("00", SPARE_DEVICE, "imu"),
        live_topic("00", SPARE_DEVICE, "noise"),
        backfill_topic("00", SPARE_DEVICE, "imu"),
        meta_topic(SPARE_DEVICE),
        state_topic(SPARE_DEVICE),
    ]
    for number in range(count):
        payload = rng.randbytes(rng.randrange(0, 400))
        if number % 3 == 0:
            payload = b"\x54\x52\x01\x01" + payload
        while not publisher.publish(rng.choice(topics), payload):
            time.sleep(0.01)
        if number % 50 == 49:
            time.sleep(0.025)  # the embedded broker carries some 2,000 messages a second


def refused_count(world: World) -> int:
    """Return how many messages ingest says that it has refused."""
    counts = world.worker_status().get("counts", {})
    return sum(count for name, count in counts.items() if name.startswith("refused_"))


def connect_with_wrong_password(world: World, client_id: str) -> None:
    """Try to log in as somebody else who is connected."""
    refused: list[bool] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311)
    client.username_pw_set("ingest", "wrong")
    client.on_connect = lambda *arguments: refused.append(arguments[3].is_failure)
    client.on_disconnect = lambda *arguments: refused.append(True)
    client.connect("127.0.0.1", world.settings.mqtt_port)
    client.loop_start()
    wait_until(lambda: refused, timeout_s=5)
    client.loop_stop()
    client.disconnect()
    assert refused[0]
