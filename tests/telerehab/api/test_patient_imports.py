import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlmodel import col, func, select

from telerehab.api.guards import BODY_MAX_BYTES, BODY_MAX_BYTES_OF
from telerehab.clock import utc_now
from telerehab.db.engine import reading
from telerehab.db.tables import CareRelation, Patient, PatientImport
from telerehab.jobs.flags import evaluate_all
from tests.telerehab.api.world import World, new_id

PATH = "/api/patient-imports"
TEXT = "Navn;CPR;Behandler\nÅse Holm;070250-1234;IDA@here.example\nBo Bang;010237-1234;\n"


def body(csv: str = TEXT, **chosen: object) -> dict[str, object]:
    return {"csv": csv, "is_dry_run": False, **chosen}


def patients_count(world: World) -> int:
    with reading(world.database.main) as db:
        return db.exec(select(func.count()).select_from(Patient)).one()


def test_a_file_is_tried_without_a_trace_and_then_written(world: World) -> None:
    manager, before = world.as_staff("team_manager"), patients_count(world)
    tried = manager.post(PATH, json=body(is_dry_run=True))
    assert tried.json() == {"rows_ok": 2, "errors": [], "error_count": 0, "unread_columns": [], "import_id": None}
    assert (patients_count(world), manager.get(PATH).json()) == (before, [])
    written = manager.post(PATH, json=body()).json()
    assert written["import_id"] is not None
    assert patients_count(world) == before + 2
    names = [each["display_name"] for each in manager.get("/api/patients").json()]
    assert {"Åse Holm", "Bo Bang"} <= set(names)
    own = [each["display_name"] for each in world.as_staff("therapist").get("/api/patients").json()]
    assert "Åse Holm" in own, "the file named the therapist"
    assert "Bo Bang" not in own


def test_one_wrong_row_keeps_the_whole_file_out(world: World) -> None:
    manager, before = world.as_staff("team_manager"), patients_count(world)
    manager.post("/api/patients", json={"name": "Ida Ny", "cpr": "0703501234"})
    text = TEXT + "Ida Ny;0703501234;\nPer Ny;0704501234;per@here.example\nUlla;07;\nKaj;0705501234;IDA@there.example\n"
    answer = manager.post(PATH, json=body(text))
    assert answer.json()["errors"] == [
        {"line": 4, "column": "cpr", "kind": "known_already"},
        {"line": 5, "column": "therapist", "kind": "unknown_therapist"},
        {"line": 6, "column": "cpr", "kind": "cpr_form"},
        {"line": 7, "column": "therapist", "kind": "unknown_therapist"},
    ]
    assert (answer.json()["rows_ok"], answer.json()["import_id"]) == (2, None)
    assert patients_count(world) == before + 1
    for value in ("0703501234", "Ulla", "per@here"):
        assert value not in answer.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_the_bytes_of_a_file_are_understood(sqlite_world: World, encoding: str) -> None:
    manager = sqlite_world.as_staff("team_manager")
    content = base64.b64encode(TEXT.encode(encoding)).decode()
    assert manager.post(PATH, json={"csv_base64": content, "is_dry_run": False}).json()["rows_ok"] == 2
    assert "Åse Holm" in [each["display_name"] for each in manager.get("/api/patients").json()]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"csv": TEXT, "csv_base64": "QUJD"}, {"csv_base64": "QUJ"}, {"csv": ""}, {"csv": TEXT, "delimiter": "|"}],
)
def test_a_body_without_one_whole_file_is_refused(sqlite_world: World, wrong: dict[str, str]) -> None:
    answer = sqlite_world.as_staff("team_manager").post(PATH, json={**wrong, "is_dry_run": True})
    assert answer.status_code == 422


def test_an_import_is_taken_back_with_its_secrets_and_can_come_again(world: World) -> None:
    manager, before = world.as_staff("team_manager"), len(world.as_staff("team_manager").get("/api/patients").json())
    import_id = manager.post(PATH, json=body(id=new_id())).json()["import_id"]
    again = manager.post(PATH, json=body(id=import_id))
    assert (again.status_code, again.json()["code"]) == (409, "import_known")
    for _ in range(2):
        undone = manager.post(f"{PATH}/{import_id}/undo")
        assert undone.status_code == 200, undone.text
        assert undone.json()["undone_at"] is not None
    assert len(manager.get("/api/patients").json()) == before
    assert "Åse Holm" not in world.as_staff("therapist").get("/api/patients").text
    with reading(world.database.main) as db:
        taken_back = db.exec(select(Patient).where(col(Patient.import_id).is_not(None))).all()
        relations = db.exec(select(CareRelation).where(col(CareRelation.source) == "import")).all()
    assert all(row.wrapped_key is None and row.cpr_hash is None and row.name_sealed is None for row in taken_back)
    assert all(row.ends_at is not None for row in relations)
    assert manager.post(PATH, json=body()).json()["rows_ok"] == 2


@pytest.mark.parametrize("what", ["secret_look", "care_relation", "assignment", "message"])
def test_an_import_on_whose_patients_something_hangs_stays_and_says_what(world: World, what: str) -> None:
    manager, therapist = world.as_staff("team_manager"), world.as_staff("therapist")
    import_id = manager.post(PATH, json=body()).json()["import_id"]
    (patient_id,) = [each["id"] for each in therapist.get("/api/patients").json() if each["display_name"] == "Åse Holm"]
    path = f"/api/patients/{patient_id}"
    manager.post("/api/devices", json={"name": "s-1", "kind": "imu6"})
    hung = {
        "secret_look": lambda: manager.post(f"{path}/reveal", json={"what": "cpr", "reason": "Ret tal"}),
        "care_relation": lambda: manager.post(
            f"{path}/care-relations", json={"therapist_id": str(world.here.therapist_id)}
        ),
        "assignment": lambda: therapist.post(f"{path}/assignments", json={"device_name": "s-1"}),
        "message": lambda: therapist.put(f"{path}/messages/{new_id()}", json={"text": "Hej"}),
    }[what]()
    assert hung.status_code in (200, 201), hung.text
    assert manager.get(PATH).json()[0]["hindered_by"] == [what]
    refused = manager.post(f"{PATH}/{import_id}/undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "import_in_use")
    assert what in refused.json()["detail"]
    assert therapist.get(path).json()["display_name"] == "Åse Holm"


def test_imports_of_elsewhere_do_not_exist_and_nobody_else_imports(sqlite_world: World) -> None:
    world = sqlite_world
    import_id = world.as_staff("team_manager").post(PATH, json=body()).json()["import_id"]
    there = world.as_staff("team_manager", clinic=world.there)
    assert there.post(f"{PATH}/{import_id}/undo").status_code == 404
    assert there.get(PATH).json() == []
    text = TEXT.replace(";IDA@here.example", ";")
    assert there.post(PATH, json=body(text)).json()["rows_ok"] == 2, "another house has its own numbers"
    for role in ("therapist", "admin", "auditor"):
        browser = world.as_staff(role)
        assert browser.post(PATH, json=body()).status_code == 403
        assert browser.get(PATH).status_code == 403


def test_two_files_with_the_same_numbers_at_once_come_once(world: World) -> None:
    browsers = [world.as_staff("team_manager") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda browser: browser.post(PATH, json=body()), browsers))
    assert sorted(answer.json()["error_count"] for answer in answers) == [0, 2]
    with reading(world.database.main) as db:
        assert len(db.exec(select(PatientImport)).all()) == 1


def test_ten_thousand_patients_come_in_one_file_that_other_paths_would_refuse(world: World) -> None:
    lines = [f"Borger {i};{(date(1930, 1, 1) + timedelta(days=i)):%d%m%y}-1234;+45 12345678" for i in range(10_000)]
    content = json.dumps(body("navn;cpr;telefon\n" + "\n".join(lines))).encode()
    assert BODY_MAX_BYTES < len(content) < BODY_MAX_BYTES_OF[PATH]
    manager = world.as_staff("team_manager")
    headers = {"Content-Type": "application/json"}
    assert manager.post("/api/patients", content=content, headers=headers).status_code == 413
    began_s = time.monotonic()
    answer = manager.post(PATH, content=content, headers=headers)
    assert answer.json()["rows_ok"] == 10_000
    assert answer.json()["import_id"] is not None
    assert time.monotonic() - began_s < 60
    assert patients_count(world) >= 10_000


def test_a_file_larger_than_the_bound_is_refused_however_it_is_sent(sqlite_world: World) -> None:
    manager = sqlite_world.as_staff("team_manager")
    text = json.dumps(body("x" * BODY_MAX_BYTES_OF[PATH])).encode()
    headers = {"Content-Type": "application/json"}
    assert manager.post(PATH, content=text, headers=headers).status_code == 413
    pieces = (text[i : i + 65_536] for i in range(0, len(text), 65_536))
    assert manager.post(PATH, content=pieces, headers=headers).status_code == 413


def test_what_is_only_counted_of_patients_does_not_keep_their_import(world: World) -> None:
    manager = world.as_staff("team_manager")
    import_id = manager.post(PATH, json=body()).json()["import_id"]
    evaluate_all(world.database, utc_now(world.clock))  # as the jobs do every ten minutes
    undone = manager.post(f"{PATH}/{import_id}/undo")
    assert undone.status_code == 200, undone.text
