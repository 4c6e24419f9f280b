"""H14: an alert outlives a killed intake, wherever it was on its way: exactly one open row, and screens hear of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlmodel import select

from devices.broker_client import BrokerClient
from telerehab.care.safety import Limits, write_limits
from telerehab.clock import SystemClock, utc_now
from telerehab.db.alert_rows import is_open
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Account, Alert, PlanVersion
from tests.chaos.world import SPARE_DEVICE, Home, World, wait_until
from tests.telerehab.intake.straps import Strap

pytestmark = pytest.mark.chaos

TOO_HIGH = [160] * 12


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        limit_heart_rate(world, world.homes[0])
        yield world


def limit_heart_rate(world: World, home: Home) -> None:
    """Give the patient a plan whose limits a strap can pass."""
    now = utc_now(SystemClock())
    with writing(world.database.main, owner="web") as db:
        author = db.exec(select(Account.id)).one()
        db.add(
            PlanVersion(
                patient_id=home.patient_id,
                number=1,
                content={"items": [], "limits": write_limits(Limits(heart_rate_max_per_min=150, stream_lost_s=None))},
                content_hash="0" * 64,
                valid_from=now.date(),
                author_id=author,
                reason_sealed=b"-",
                created_at=now,
            )
        )


class Wearer:
    """A strap that a test plays itself."""

    def __init__(self, world: World, device: str) -> None:
        self._strap = Strap(name=device)
        self._world = world

    def send(self, values: list[int]) -> None:
        """Send one block, and wait until it is stored: by then its values have been judged."""
        with connected(self._world, self._strap.name, self._world.passwords[self._strap.name]) as client:
            stored_before = self._world.stored_block_count()
            raw = self._strap.raw(values, at_us=0)

            def is_stored() -> bool:  # sent again until it is, as a device does
                assert client.publish(raw.topic, raw.payload)
                return self._world.stored_block_count() > stored_before

            wait_until(is_stored, timeout_s=15, every_s=0.25)


@contextmanager
def connected(world: World, username: str, password: str, *topics: str) -> Iterator[BrokerClient]:
    client = BrokerClient(
        "127.0.0.1",
        world.settings.mqtt_port,
        username=username,
        password=password,
        subscriptions=topics,
        has_echo=bool(topics),
    )
    client.start()
    try:
        wait_until(lambda: client.is_subscribed if topics else client.is_connected, timeout_s=10)
        yield client
    finally:
        client.close()


class Screen:
    """Listens as the web role does."""

    def __init__(self, client: BrokerClient) -> None:
        self._client = client
        self._heard: list[str] = []

    def heard(self) -> list[str]:
        """Return the ids of all alerts of which it has heard so far."""
        self._client.tend(time.monotonic_ns())
        told = [raw.payload for raw in self._client.take() if raw.topic == "app/1/changed/alert"]
        self._heard += [json.loads(payload)["id"] for payload in told]
        return self._heard


@contextmanager
def listening(world: World) -> Iterator[Screen]:
    with connected(world, "web", world.settings.mqtt_password("web"), "app/1/changed/#") as client:
        yield Screen(client)


def alerts(world: World) -> list[Alert]:
    with reading(world.database.main) as db:
        return list(db.exec(select(Alert)))


def open_ids(world: World) -> list[str]:
    with reading(world.database.main) as db:
        return [str(row_id) for row_id in db.exec(select(Alert.id).where(is_open()))]


def test_H14_killed_after_it_saw_and_before_it_wrote_intake_finds_the_alert_again(world: World) -> None:
    world.start_role("broker")
    world.start_role("ingest")
    patient = Wearer(world, world.homes[0].devices[-1])
    with writing(world.database.main, owner="web"):  # nobody else can write the main database meanwhile
        patient.send(TOO_HIGH)
        world.kill("ingest")
    assert alerts(world) == []
    with listening(world) as screen:
        world.start_role("ingest")
        wait_until(screen.heard, timeout_s=15)
        patient.send([160] * 3)
        (alert,) = alerts(world)
        assert (alert.cause, alert.limit_value, alert.training_session_id) == (
            "heart_rate_high",
            150,
            world.homes[0].training_session_id,
        )
        assert set(screen.heard()) == {str(alert.id)}
        assert open_ids(world) == [str(alert.id)]


def test_H14_killed_after_it_wrote_and_before_it_told_intake_tells_at_the_next_start(world: World) -> None:
    world.start_role("broker")
    world.start_role("ingest")
    patient = Wearer(world, world.homes[0].devices[-1])
    with writing(world.database.main, owner="web"):
        patient.send(TOO_HIGH)
        world.kill("broker")
    wait_until(lambda: alerts(world), timeout_s=15)
    world.kill("ingest")
    (written,) = open_ids(world)
    world.start_role("broker")
    with listening(world) as screen:
        world.start_role("ingest")
        wait_until(screen.heard, timeout_s=15)
        patient.send([160] * 3)
        assert open_ids(world) == [written]
        assert set(screen.heard()) == {written}
    assert len(alerts(world)) == 1


def test_H6_screens_hear_of_an_alert_within_two_seconds_of_the_value_that_makes_it(world: World) -> None:
    world.start_role("broker")
    world.start_role("ingest")
    patient = Wearer(world, world.homes[0].devices[-1])
    Wearer(world, SPARE_DEVICE).send([110])  # from here on the way is open
    with listening(world) as screen:
        assert screen.heard() == []
        sent_s = time.monotonic()
        patient.send(TOO_HIGH)
        wait_until(screen.heard, timeout_s=10, every_s=0.02)
        late_s = time.monotonic() - sent_s
    assert open_ids(world) == screen.heard()
    assert late_s < 2
