from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import UUID

from sqlmodel import col, select, update

from telerehab.clock import utc_now
from telerehab.db.changes import take_changes
from telerehab.db.engine import reading, writing
from telerehab.db.repositories.notices import put_notice, to_account, to_patient, to_role
from telerehab.db.tables import CareRelation, Notice
from tests.telerehab.api.world import World, new_id

TODAY = date(2026, 10, 20)


def _tell(
    world: World,
    recipient: str,
    *,
    cause: str = "flag:1",
    day: date = TODAY,
    owner: str = "jobs",
    patient_id: UUID | None = None,
    organisation_id: UUID | None = None,
) -> bool:
    with writing(world.database.main, owner=owner) as db:
        is_new = put_notice(
            db,
            organisation_id=organisation_id or world.here.organisation_id,
            recipient=recipient,
            kind="notice.flag_new",
            cause=cause,
            day=day,
            now=utc_now(world.clock),
            patient_id=patient_id,
            data={"rule": "pain_high"},
        )
        assert len(take_changes(db)) == is_new
    return is_new


def test_a_recipient_is_told_of_a_cause_once_a_day_whoever_writes_it(world: World) -> None:
    recipient = to_account(world.here.therapist_id)
    assert _tell(world, recipient)
    assert not _tell(world, recipient, owner="web")
    assert _tell(world, recipient, cause="flag:2")
    assert _tell(world, recipient, day=TODAY + timedelta(days=1))
    assert _tell(world, to_patient(world.here.patient_ids[0]))
    assert len(world.as_staff("therapist").get("/api/notices").json()) == 3


def test_writers_at_the_same_moment_tell_once(world: World) -> None:
    recipient = to_account(world.here.therapist_id)
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda _: _tell(world, recipient), range(12)))
    assert told.count(True) == 1


def test_a_notice_names_the_patient_as_long_as_the_reader_may_know(sqlite_world: World) -> None:
    patient_id = sqlite_world.here.patient_ids[0]
    _tell(sqlite_world, to_account(sqlite_world.here.therapist_id), patient_id=patient_id)
    therapist = sqlite_world.as_staff("therapist")
    (notice,) = therapist.get("/api/notices").json()
    assert (notice["display_name"], notice["birth_date"]) == ("Karen Patient 0 here", "1940-02-03")
    assert (notice["kind"], notice["data"], notice["day"]) == ("notice.flag_new", {"rule": "pain_high"}, "2026-10-20")
    with writing(sqlite_world.database.main, owner="web") as db:
        db.exec(update(CareRelation).values(ends_at=utc_now(sqlite_world.clock)))
    (notice,) = therapist.get("/api/notices").json()
    assert (notice["patient_id"], notice["display_name"]) == (None, None)


def test_a_notice_is_read_once_and_says_when(world: World) -> None:
    _tell(world, to_patient(world.here.patient_ids[0]))
    tablet = world.as_tablet()
    (notice,) = tablet.get("/api/notices").json()
    assert notice["read_at"] is None
    assert tablet.post(f"/api/notices/{notice['id']}/read").status_code == 204
    (read,) = tablet.get("/api/notices").json()
    world.clock.advance(60)
    tablet.post(f"/api/notices/{notice['id']}/read")
    assert tablet.get("/api/notices").json() == [read]


def test_what_a_role_is_told_one_of_them_reads_for_all(sqlite_world: World) -> None:
    _tell(sqlite_world, to_role("auditor", sqlite_world.here.organisation_id))
    auditor = sqlite_world.as_staff("auditor")
    (notice,) = auditor.get("/api/notices").json()
    auditor.post(f"/api/notices/{notice['id']}/read")
    assert sqlite_world.as_staff("auditor").get("/api/notices").json()[0]["read_at"] is not None
    assert sqlite_world.as_staff("therapist").get("/api/notices").json() == []


def test_nobody_sees_or_reads_what_others_are_told(sqlite_world: World) -> None:
    _tell(sqlite_world, to_account(sqlite_world.here.therapist_id))
    (notice,) = sqlite_world.as_staff("therapist").get("/api/notices").json()
    strangers = [
        sqlite_world.as_staff("therapist", clinic=sqlite_world.there),
        sqlite_world.as_staff("admin"),
        sqlite_world.as_tablet(),
        sqlite_world.as_helper(),
    ]
    for stranger in strangers:
        assert stranger.get("/api/notices").json() == []
        assert stranger.post(f"/api/notices/{notice['id']}/read").status_code == 404
        assert stranger.post(f"/api/notices/{new_id()}/read").status_code == 404
    with reading(sqlite_world.database.main) as db:
        assert db.exec(select(col(Notice.read_at))).all() == [None]
