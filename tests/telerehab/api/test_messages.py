import pytest
from sqlmodel import select

from telerehab.db.engine import reading
from telerehab.db.repositories import messages
from telerehab.db.tables import Message
from tests.telerehab.api.world import World, new_id


def path_of(world: World, i: int = 0) -> str:
    return f"/api/patients/{world.here.patient_ids[i]}/messages"


def test_patient_and_therapist_write_to_each_other_and_see_what_was_read(world: World) -> None:
    therapist, tablet, path = world.as_staff("therapist"), world.as_tablet(), path_of(world)
    sent = tablet.put(f"{path}/{new_id()}", json={"text": "  Mit knæ er hævet.\nSkal jeg træne? <b>  "})
    assert sent.status_code == 200, sent.text
    world.clock.advance(1)
    therapist.put(f"{path}/{new_id()}", json={"text": "Hold en pause i dag."})
    (asked, answered) = tablet.get(path).json()
    assert (asked["text"], asked["from"], asked["is_own"], asked["author"]) == (
        "Mit knæ er hævet.\nSkal jeg træne? <b>",
        "patient",
        True,
        None,
    )
    assert (answered["from"], answered["is_own"], answered["author"]) == ("staff", False, "Ida Therapist here")
    assert [each["read_at"] for each in (asked, answered)] == [None, None]
    assert therapist.post(f"{path}/read").json() == {"count": 1}
    assert therapist.post(f"{path}/read").json() == {"count": 0}
    (asked, answered) = therapist.get(path).json()
    assert (asked["read_at"] is None, answered["read_at"] is None) == (False, True), "nobody reads for the other side"


def test_a_message_lies_sealed_and_is_told_by_its_id_only(sqlite_world: World) -> None:
    world = sqlite_world
    message_id = new_id()
    world.as_tablet().put(f"{path_of(world)}/{message_id}", json={"text": "Mit knæ er hævet."})
    with reading(world.database.main) as db:
        (row,) = db.exec(select(Message)).all()
    assert "knæ".encode() not in row.text_sealed
    told = [(str(change.id), change.version) for change in world.changes.told if change.table == "message"]
    assert told == [(message_id, 1)]


def test_the_same_message_again_adds_nothing_and_another_under_its_id_is_a_conflict(world: World) -> None:
    tablet, therapist, message_id = world.as_tablet(), world.as_staff("therapist"), new_id()
    path = f"{path_of(world)}/{message_id}"
    first, again = (tablet.put(path, json={"text": "Hej"}) for _ in range(2))
    assert first.json() == again.json()
    assert tablet.put(path, json={"text": "Nej"}).status_code == 409
    assert therapist.put(path, json={"text": "Hej"}).status_code == 409, "somebody else wrote it"
    assert therapist.put(f"{path_of(world, 1)}/{message_id}", json={"text": "Hej"}).status_code == 404
    assert len(tablet.get(path_of(world)).json()) == 1


@pytest.mark.parametrize("text", ["", "   ", "a\x00b", "x" * 2_001, 5, None])
def test_a_message_is_a_bounded_text(sqlite_world: World, text: object) -> None:
    answer = sqlite_world.as_tablet().put(f"{path_of(sqlite_world)}/{new_id()}", json={"text": text})
    assert answer.status_code == 422


def test_messages_are_seen_by_patient_and_care_only(sqlite_world: World) -> None:
    world = sqlite_world
    tablet, path, message_id = world.as_tablet(), path_of(world), new_id()
    tablet.put(f"{path}/{message_id}", json={"text": "Hej"})
    others = (
        (world.as_helper(), 403),
        (world.as_staff("team_manager"), 403),
        (world.as_staff("admin"), 403),
        (world.as_staff("auditor"), 403),
        (world.as_staff("therapist", clinic=world.there), 404),
        (world.as_tablet(clinic=world.there), 404),
    )
    for browser, status in others:
        assert browser.get(path).status_code == status
        assert browser.put(f"{path}/{new_id()}", json={"text": "Hej"}).status_code == status
        assert browser.post(f"{path}/read").status_code == status
    assert tablet.get(path_of(world, 1)).status_code == 404
    assert [each["read_at"] for each in tablet.get(path).json()] == [None]


def test_older_messages_come_page_by_page_without_gap_or_repetition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LIST_MAX", 3)
    tablet, path = world.as_tablet(), path_of(world)
    for i in range(8):
        tablet.put(f"{path}/{new_id()}", json={"text": f"{i}"})
        world.clock.advance(i % 2)  # some at the same moment
    listed: list[dict[str, str]] = tablet.get(path).json()
    while len(page := tablet.get(path, params={"before": listed[0]["id"]}).json()) > 0:
        listed = [*page, *listed]
    assert len({each["id"] for each in listed}) == len(listed) == 8
    assert sorted(each["text"] for each in listed) == [f"{i}" for i in range(8)]
    assert [each["sent_at"] for each in listed] == sorted(each["sent_at"] for each in listed)
    assert tablet.get(path, params={"before": new_id()}).status_code == 404


def test_one_side_that_writes_very_much_leaves_the_other_free(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    monkeypatch.setattr(messages, "PER_DAY_MAX", 2)
    tablet, therapist, path = world.as_tablet(), world.as_staff("therapist"), path_of(world)
    codes = [tablet.put(f"{path}/{new_id()}", json={"text": "Hej"}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert therapist.put(f"{path}/{new_id()}", json={"text": "Hej"}).status_code == 200
    world.clock.advance(86_401)
    assert world.as_tablet().put(f"{path}/{new_id()}", json={"text": "Hej"}).status_code == 200


def test_after_the_course_nobody_writes_what_nobody_reads(sqlite_world: World) -> None:
    world = sqlite_world
    assert world.as_staff("therapist").post(f"/api/patients/{world.here.patient_ids[0]}/end").status_code == 204
    refused = world.as_tablet().put(f"{path_of(world)}/{new_id()}", json={"text": "Hej"})
    assert (refused.status_code, refused.json()["code"]) == (409, "course_ended")
    assert world.as_tablet().get(path_of(world)).json() == []
