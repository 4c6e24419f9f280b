import asyncio
import base64
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, select

from telerehab.auth.access import Scope
from telerehab.auth.device_credentials import (
    ITERATIONS,
    SqlCredentials,
    hash_device_password,
    is_device_password,
    new_device_password,
)
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.limits import KEYS_MAX, AttemptLimit
from telerehab.auth.origins import is_own_host, is_own_origin
from telerehab.auth.passwords import AT_ONCE_MAX, WAITING_MAX, Passwords
from telerehab.auth.policies import may_see_live_session
from telerehab.auth.reader import Reader, ReaderRole
from telerehab.auth.tokens import hash_code, hash_token, is_token, new_code, new_token
from telerehab.clock import ManualClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.repositories.patients import PatientRepository, is_visible_patient
from telerehab.db.tables import Device, LiveSession, Patient
from telerehab.errors import NotFoundError, TooManyAttemptsError
from telerehab.settings import Settings

NOW = utc_now(ManualClock())


# --- tokens and passwords ---


def test_tokens_are_long_random_and_recognised() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(is_token(token) for token in tokens)
    assert not is_token(next(iter(tokens)) + "\n")
    assert {len(new_code()) for _ in range(100)} == {6}


def test_a_token_is_kept_as_sha_256() -> None:
    assert hash_token("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_hash_of_a_code_depends_on_the_key() -> None:
    assert hash_code("123456", key=b"a") != hash_code("123456", key=b"b")


def test_a_password_is_kept_as_argon2id() -> None:
    passwords = Passwords(memory_cost_kib=64)
    password_hash = passwords.hash("kaffe")
    assert password_hash.startswith("$argon2id$")
    assert passwords.is_right("kaffe", password_hash)
    assert not passwords.is_right("the", password_hash)
    assert not passwords.is_right("kaffe", None)
    assert not passwords.is_right("kaffe", "no hash")


def test_the_real_hash_takes_64_mib_and_more_than_one_pass() -> None:
    assert "m=65536,t=3," in Passwords().hash("kaffe")


def test_of_many_passwords_at_once_few_are_hashed_few_wait_and_the_rest_are_sent_away() -> None:
    passwords = Passwords(memory_cost_kib=64)
    hasher = HeldHasher()
    passwords._hasher = hasher  # type: ignore[assignment]
    with ThreadPoolExecutor(AT_ONCE_MAX + WAITING_MAX) as pool:
        answers = [pool.submit(passwords.is_right, "kaffe", "hash") for _ in range(AT_ONCE_MAX + WAITING_MAX)]
        for _ in range(AT_ONCE_MAX):
            assert hasher.begun.acquire(timeout=5)
        until(lambda: passwords._inside._value == 0)
        with pytest.raises(TooManyAttemptsError):
            passwords.is_right("kaffe", "hash")
        assert not hasher.begun.acquire(blocking=False), "no more than these at once"
        hasher.may_end.set()
        assert all(answer.result(timeout=5) for answer in answers)
    assert passwords.is_right("kaffe", "hash")


class HeldHasher:
    """Says yes, when it may."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()

    def verify(self, password: str, password_hash: str) -> bool:
        self.begun.release()
        return self.may_end.wait(5)


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.005)


# --- attempts ---


def test_attempts_come_back_with_time() -> None:
    clock = ManualClock()
    limit = AttemptLimit(burst=2, refill_s=10, clock=clock)
    limit.spend("a")
    limit.spend("a")
    with pytest.raises(TooManyAttemptsError) as caught:
        limit.spend("a")
    assert caught.value.retry_after_s == pytest.approx(10)
    clock.advance(10)
    limit.spend("a")
    with pytest.raises(TooManyAttemptsError):
        limit.spend("a")
    limit.spend("b")
    limit.forgive("a")
    limit.spend("a")
    clock.advance(1_000)
    limit.spend("a")
    limit.spend("a")
    with pytest.raises(TooManyAttemptsError):
        limit.spend("a")


def test_a_flood_of_keys_is_forgotten_oldest_first() -> None:
    limit = AttemptLimit(burst=1, refill_s=10, clock=ManualClock())
    for number in range(KEYS_MAX + 1):
        limit.spend(str(number))
    limit.spend("0")
    with pytest.raises(TooManyAttemptsError):
        limit.spend(str(KEYS_MAX))


# --- hosts and origins ---


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("clinic.localhost:8000", True),
        ("HOME1.localhost", True),
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("rehab.example", True),
        ("evil.example", False),
        ("rehab.example.evil.example", False),
        ("xlocalhost", False),
        (".localhost", False),
        ("", False),
        (None, False),
        ("rehab.example@evil.example", False),
        ("rehab.example/evil", False),
        ("rehab.example:port", False),
    ],
)
def test_only_names_of_ours_are_served(tmp_path: Path, host: str | None, is_own: bool) -> None:
    settings = Settings(data_dir=tmp_path, public_hosts=["*.localhost", "rehab.example"])
    if host == "rehab.example:port":
        assert not is_own_origin(settings, "http://rehab.example", host, "http")
    else:
        assert is_own_host(settings, host) == is_own


@pytest.mark.parametrize(
    ("origin", "scheme", "is_own"),
    [
        ("https://rehab.example", "wss", True),
        ("https://rehab.example:443", "https", True),
        ("http://rehab.example", "wss", False),
        ("https://rehab.example", "ws", False),
        ("https://rehab.example:8443", "wss", False),
        ("https://localhost", "wss", False),
        ("https://rehab.example.evil.example", "wss", False),
        ("https://evil.example", "wss", False),
        ("null", "wss", False),
        ("", "wss", False),
        ("https://[", "wss", False),
        (None, "wss", True),
    ],
)
def test_only_the_page_of_the_same_host_may_talk(tmp_path: Path, origin: str | None, scheme: str, is_own: bool) -> None:
    settings = Settings(data_dir=tmp_path, public_hosts=["rehab.example", "evil.localhost"])
    assert is_own_origin(settings, origin, "rehab.example", scheme) == is_own


# --- policies over rows, and the same as conditions of SQL ---


def _reader(role: ReaderRole, organisation_id: uuid.UUID, holder: uuid.UUID) -> Reader:
    is_tablet = role == "tablet"
    return Reader(
        login_id=uuid.uuid4(),
        role=role,
        organisation_id=organisation_id,
        account_id=None if is_tablet else holder,
        tablet_id=uuid.uuid4() if is_tablet else None,
        patient_id=holder if is_tablet else None,
    )


def _may_identify(db: Session, reader: Reader, patient_id: uuid.UUID, key_ring: KeyRing) -> bool:
    try:
        PatientRepository(db, reader=reader, now=NOW, key_ring=key_ring).require(patient_id, Scope.IDENTIFY)
    except NotFoundError:
        return False
    return True


def test_the_policy_over_rows_and_the_one_in_sql_agree(database: Database, key_ring: KeyRing) -> None:
    day = timedelta(days=1)
    spans = [(-day, None), (-day, day), (-2 * day, -day), (day, 2 * day), (-day, timedelta(0)), (timedelta(0), None)]
    with writing(database.main, owner="web") as db:
        organisations = [provisioning.create_organisation(db, name=name) for name in "ab"]
        accounts = [
            provisioning.create_account(
                db, organisation_id=organisation.id, email=f"{organisation.id}@{i}", display_name="", role=role
            )
            for organisation in organisations
            for i, role in enumerate(("therapist", "therapist", "admin"))
        ]
        patients = [
            provisioning.create_patient(db, key_ring=key_ring, organisation_id=organisation.id, name="")
            for organisation in organisations
            for _ in range(len(spans) + 1)
        ]
        for account in (accounts[0], accounts[2], accounts[3]):
            for patient, (start, stop) in zip(patients[: len(spans)], spans, strict=True):
                provisioning.create_care_relation(
                    db,
                    account_id=account.id,
                    patient_id=patient.id,
                    starts_at=NOW + start,
                    ends_at=None if stop is None else NOW + stop,
                )
    readers = [
        _reader("admin" if account.role == "admin" else "therapist", account.organisation_id, account.id)
        for account in accounts
    ]
    readers += [_reader("tablet", patient.organisation_id, patient.id) for patient in patients]
    readers.append(_reader("tablet", organisations[1].id, patients[0].id))
    visible_count = 0
    with reading(database.main) as db:
        for reader in readers:
            in_sql = {
                patient.id
                for patient in db.exec(select(Patient).where(is_visible_patient(reader, NOW, Scope.IDENTIFY)))
            }
            in_python = {patient.id for patient in patients if _may_identify(db, reader, patient.id, key_ring)}
            assert in_sql == in_python
            visible_count += len(in_sql)
    assert visible_count == 3 + len(patients)  # three spans are in force; each tablet sees its own


def test_a_live_session_is_seen_by_its_therapist_and_its_patients() -> None:
    organisation_id, therapist_id, patient_id = (uuid.uuid4() for _ in range(3))
    live_session = LiveSession(
        organisation_id=organisation_id, title="", therapist_account_id=therapist_id, state="open", opened_at=NOW
    )
    seen = [
        may_see_live_session(reader, live_session, [patient_id])
        for reader in (
            _reader("therapist", organisation_id, therapist_id),
            _reader("tablet", organisation_id, patient_id),
            _reader("therapist", organisation_id, uuid.uuid4()),
            _reader("admin", organisation_id, therapist_id),
            _reader("tablet", organisation_id, uuid.uuid4()),
            _reader("therapist", uuid.uuid4(), therapist_id),
            _reader("tablet", uuid.uuid4(), patient_id),
        )
    ]
    assert seen == [True, True, False, False, False, False, False]


# --- devices at the broker ---


def test_a_credential_has_the_form_of_mosquittos_password_file() -> None:
    _, kind, iterations, salt, digest = hash_device_password("kaffe", salt=b"123456789012").split("$")
    assert (kind, iterations) == ("7", str(ITERATIONS))
    assert base64.b64decode(salt) == b"123456789012"
    assert len(base64.b64decode(digest)) == 64


def test_a_device_password_fits_its_own_hash_only() -> None:
    password = new_device_password()
    credential_hash = hash_device_password(password)
    assert is_device_password(password, credential_hash)
    assert not is_device_password(password + "x", credential_hash)
    assert hash_device_password(password) != credential_hash
    for broken in ("", "$6$1$YQ==$YQ==", "$7$x$YQ==$YQ==", "$7$0$YQ==$YQ==", "$7$1$%$%", "$7$99999999999$YQ==$YQ=="):
        assert not is_device_password(password, broken)


def _with_device(database: Database, name: str) -> str:
    with writing(database.main, owner="web") as db:
        organisation = provisioning.create_organisation(db, name="o")
        kit = provisioning.create_kit(db, organisation_id=organisation.id, name="kit", shard=26)
        assert kit.shard == "1a"
        new = provisioning.create_device(db, organisation_id=organisation.id, name=name, kind="imu6", kit_id=kit.id)
    return new.password


def test_devices_and_roles_log_in_at_the_broker_and_nobody_else(settings: Settings, database: Database) -> None:
    password = _with_device(database, "imu-1")
    credentials = SqlCredentials(database.main, settings)
    assert not credentials.may_log_in("imu-1", password)
    credentials.refresh()
    assert credentials.may_log_in("imu-1", password)
    assert not credentials.may_log_in("imu-1", password[:-1])
    assert not credentials.may_log_in("imu-2", password)
    assert credentials.role_of("imu-1") == "device"
    assert credentials.role_of("imu-2") is None
    for role in ("ingest", "web", "media", "jobs"):
        assert credentials.may_log_in(role, settings.secret_for(f"mqtt:{role}").hex())
        assert not credentials.may_log_in(role, password)
        assert credentials.role_of(role) == role
    assert not credentials.may_log_in("ingest", settings.mqtt_password("web"))


def test_a_revoked_device_is_refused(settings: Settings, database: Database) -> None:
    password = _with_device(database, "imu-1")
    credentials = SqlCredentials(database.main, settings)
    credentials.refresh()
    with writing(database.main, owner="web") as db:
        db.exec(select(Device)).one().revoked_at = NOW
    credentials.refresh()
    assert not credentials.may_log_in("imu-1", password)
    assert credentials.role_of("imu-1") is None


def test_whose_login_no_longer_holds_is_told_once(settings: Settings, database: Database) -> None:
    _with_device(database, "imu-1")
    credentials = SqlCredentials(database.main, settings)
    assert credentials.refresh() == frozenset(), "a device that is new has nothing to lose"
    assert credentials.refresh() == frozenset()
    with writing(database.main, owner="web") as db:
        db.exec(select(Device)).one().credential_hash = hash_device_password("another")
    assert credentials.refresh() == {"imu-1"}
    assert credentials.refresh() == frozenset()
    with writing(database.main, owner="web") as db:
        db.exec(select(Device)).one().revoked_at = NOW
    told: list[frozenset[str]] = []

    async def keep_until_told() -> None:
        heard = asyncio.Event()

        def hear(names: frozenset[str]) -> None:
            told.append(names)
            heard.set()

        keeping = asyncio.create_task(credentials.keep_fresh(0.01, when_void=hear))
        await asyncio.wait_for(heard.wait(), timeout=30)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(keep_until_told())
    assert told == [frozenset({"imu-1"})]


def test_a_device_named_like_a_role_does_not_become_one(settings: Settings, database: Database) -> None:
    with writing(database.main, owner="web") as db:
        organisation = provisioning.create_organisation(db, name="o")
        credential_hash = hash_device_password("kaffe")
        db.add(Device(name="ingest", organisation_id=organisation.id, kind="imu6", credential_hash=credential_hash))
    credentials = SqlCredentials(database.main, settings)
    credentials.refresh()
    assert not credentials.may_log_in("ingest", "kaffe")


@pytest.mark.parametrize("name", ["a/b", "+", "#", "", "x" * 65, "Ä", "imu 1", "ingest", "web"])
def test_a_device_name_opens_no_other_subtree_and_no_role(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="device's name"):
        _with_device(database, name)


def test_a_link_is_for_one_holder(database: Database) -> None:
    with writing(database.main, owner="web") as db:
        with pytest.raises(ValueError, match="account or for a tablet"):
            provisioning.create_one_time_link(db, now=NOW)
        with pytest.raises(ValueError, match="account or for a tablet"):
            provisioning.create_one_time_link(db, now=NOW, account_id=uuid.uuid4(), tablet_id=uuid.uuid4())
