"""Which sensors show which training session: from rows of a real database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from telerehab.auth.key_ring import KeyRing
from telerehab.care.safety import Limits
from telerehab.clock import to_us
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Device, TrainingSession
from telerehab.intake.places import Places, Training, read_places

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clinic:
    """A database with one patient, to be given devices and training sessions."""

    def __init__(self, database: Database, key_ring: KeyRing) -> None:
        self.database = database
        self._key_ring = key_ring
        with writing(database.main, owner="web") as db:
            self.organisation_id = provisioning.create_organisation(db, name="clinic").id
            self.patient_id = self._patient(db)

    def new_patient(self) -> UUID:
        with writing(self.database.main, owner="web") as db:
            return self._patient(db)

    def lend(
        self, name: str, site: str | None, *, kind: str = "imu6", starts_h: float = -2, ends_h: float | None = None
    ) -> None:
        with writing(self.database.main, owner="web") as db:
            if db.get(Device, name) is None:
                provisioning.create_device(db, organisation_id=self.organisation_id, name=name, kind=kind)
            provisioning.assign_device(
                db,
                device_name=name,
                patient_id=self.patient_id,
                body_site=site,
                starts_at=NOW + starts_h * HOUR,
                ends_at=None if ends_h is None else NOW + ends_h * HOUR,
            )

    def open(self, exercise: str = "knee_extension_seated", **changed: object) -> UUID:
        values: dict[str, object] = {
            "id": uuid4(),
            "patient_id": self.patient_id,
            "exercise": exercise,
            "side": "right",
            "opened_at": NOW - HOUR,
            "opened_by": UUID(int=1),
        }
        training_session = TrainingSession.model_validate(values | changed)
        with writing(self.database.main, owner="web") as db:
            db.add(training_session)
            db.flush()
            return training_session.id

    def revoke(self, name: str) -> None:
        with writing(self.database.main, owner="web") as db:
            device = db.get(Device, name)
            assert device is not None
            device.revoked_at = NOW
            db.add(device)

    def read(self) -> Places:
        with reading(self.database.main) as db:
            return read_places(db, now=NOW)

    def only_training(self) -> Training:
        (training,) = self.read().trainings
        return training

    def _patient(self, db: Session) -> UUID:
        return provisioning.create_patient(
            db, key_ring=self._key_ring, organisation_id=self.organisation_id, name="Patient"
        ).id


@pytest.fixture
def clinic(database: Database, key_ring: KeyRing) -> Clinic:
    return Clinic(database, key_ring)


def test_a_device_in_a_kit_sends_on_its_shard_and_another_anywhere(clinic: Clinic, database: Database) -> None:
    clinic.lend("a", "thigh_right")
    with writing(database.main, owner="web") as db:
        kit = provisioning.create_kit(db, organisation_id=clinic.organisation_id, name="kit", shard=26)
        for name in ("b", "gone"):
            provisioning.create_device(
                db, organisation_id=clinic.organisation_id, name=name, kind="imu6", kit_id=kit.id
            )
    clinic.revoke("gone")
    assert clinic.read().shards == {"b": "1a"}


def test_a_knee_is_shown_by_thigh_and_shank_of_its_side_and_the_heart_by_the_strap(clinic: Clinic) -> None:
    for name, site in (("a", "thigh_right"), ("b", "shank_right"), ("c", "thigh_left"), ("d", "shank_left")):
        clinic.lend(name, site)
    clinic.lend("e", None, kind="heart")
    training_session = clinic.open()
    assert clinic.only_training() == Training(
        id=training_session,
        exercise="knee_extension_seated",
        side="right",
        proximal="a",
        distal="b",
        heart="e",
        target_deg=(0, 15),
        opened_us=to_us(NOW - HOUR),
        worn=frozenset("abcde"),
        limits=Limits(),
    )
    assert clinic.read().known_devices == {"a", "b", "c", "d", "e"}


def test_an_elbow_is_shown_by_the_forearm_alone_even_where_the_upper_arm_has_a_sensor(clinic: Clinic) -> None:
    clinic.lend("upper", "upper_arm_right")
    clinic.lend("fore", "forearm_right")
    clinic.open("elbow_flexion")
    training = clinic.only_training()
    assert training.sensors == (None, "fore")
    assert training.is_measurable


def test_the_trunk_has_no_side(clinic: Clinic) -> None:
    clinic.lend("chest", "trunk")
    clinic.open("trunk_flexion")
    assert clinic.only_training().distal == "chest"


def test_the_target_of_the_therapist_replaces_that_of_the_exercise_bound_by_bound(clinic: Clinic) -> None:
    clinic.open(target_high_deg=30.0)
    assert clinic.only_training().target_deg == (0, 30.0)


def test_a_missing_sensor_makes_a_training_session_unmeasurable(clinic: Clinic) -> None:
    clinic.lend("b", "shank_right")
    clinic.open()
    assert not clinic.only_training().is_measurable


@pytest.mark.parametrize(("starts_h", "ends_h"), [(1, None), (-2, -1), (-2, 0)])
def test_only_what_is_lent_now_is_worn(clinic: Clinic, starts_h: float, ends_h: float | None) -> None:
    clinic.lend("b", "shank_right", starts_h=starts_h, ends_h=ends_h)
    clinic.open()
    assert clinic.only_training().distal is None


def test_a_sensor_that_was_exchanged_is_replaced_by_the_later_one(clinic: Clinic) -> None:
    clinic.lend("old", "shank_right", starts_h=-3)
    clinic.lend("new", "shank_right", starts_h=-1)
    clinic.open()
    assert clinic.only_training().distal == "new"


def test_a_revoked_device_may_not_deliver_and_is_not_worn(clinic: Clinic) -> None:
    clinic.lend("b", "shank_right")
    clinic.open()
    clinic.revoke("b")
    assert clinic.read().known_devices == frozenset()
    assert clinic.only_training().distal is None


def test_closed_training_sessions_and_unknown_exercises_have_no_place(clinic: Clinic) -> None:
    clinic.open(closed_at=NOW)
    assert clinic.read().trainings == ()
    clinic.patient_id = clinic.new_patient()
    clinic.open("somersault")
    assert clinic.read().trainings == ()


def test_of_two_open_training_sessions_of_a_patient_the_newer_counts(clinic: Clinic) -> None:
    clinic.open(opened_at=NOW - 2 * HOUR)
    newer = clinic.open(opened_at=NOW - HOUR)
    assert clinic.only_training().id == newer
    clinic.patient_id = clinic.new_patient()
    other = clinic.open()
    assert {training.id for training in clinic.read().trainings} == {newer, other}
