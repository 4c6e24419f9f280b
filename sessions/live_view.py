"""What one participant may read of a live session, and how well each shall send. Pure, over a room's snapshot.

The web role holds no state of a live session: it has the last snapshot from the media worker and cuts it down per
reader. Who sees whom was decided by the room (`live_rooms.may_see`) and is part of the snapshot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sessions.participant import Role

Snapshot = Mapping[str, Any]
"""JSON object that `LiveRoom.snapshot` made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """The most that a publisher shall send."""

    width: int
    """Picture width [px]."""
    fps: int
    kbps: int


FOCUSED: Final = Quality(width=640, fps=30, kbps=800)
BESIDE: Final = Quality(width=320, fps=10, kbps=150)
EQUAL: Final = Quality(width=480, fps=20, kbps=350)
"""Nobody is in focus: every patient is shown alike."""

_FOR_THE_THERAPIST_ONLY: Final = frozenset({"focus", "talk_to"})
_FOR_ALL: Final = frozenset({"live_session"})


def view_for(snapshot: Snapshot, viewer_id: str) -> dict[str, Any]:
    """Return the part of a snapshot that a participant may see: the therapist all, a patient the therapist and self.

    The slots are the viewer's own. Whom the therapist has in focus or talks to is nobody else's business.
    """
    viewer = _find(snapshot, viewer_id)
    visible = [p for p in snapshot["participants"] if _may_read_about(snapshot, viewer_id, p["id"])]
    is_therapist = viewer["role"] == Role.THERAPIST
    return {
        "id": snapshot["id"],
        "title": snapshot["title"],
        "state": snapshot["state"],
        "event_sequence": snapshot["event_sequence"],
        "you": viewer_id,
        "focus": snapshot["focus"] if is_therapist else None,
        "talk_to": snapshot["talk_to"] if is_therapist else None,
        "participants": visible,
        "slots": snapshot["slots"].get(viewer_id, {}),
    }


def may_read_event(snapshot: Snapshot, viewer_id: str, *, kind: str, data: Mapping[str, Any]) -> bool:
    """Tell whether a participant may read an event of the live session."""
    viewer = _find(snapshot, viewer_id)
    if viewer["role"] == Role.THERAPIST or kind in _FOR_ALL:
        return True
    about = data.get("participant")
    if kind in _FOR_THE_THERAPIST_ONLY or not isinstance(about, str):
        return False
    to = data.get("to")
    if kind == "text" and to not in (None, viewer_id) and not _sits_beside(viewer, snapshot, to):
        return False
    return _may_read_about(snapshot, viewer_id, about)


def quality_for(snapshot: Snapshot, participant_id: str) -> Quality:
    """Return how well a participant shall send: the one in focus well, a lone patient and the therapist too.

    Examples
    --------
    >>> alone = {"focus": None, "participants": [{"id": "p", "role": "patient"}]}
    >>> quality_for(alone, "p").width
    640
    """
    participant = _find(snapshot, participant_id)
    n_patients = sum(p["role"] == Role.PATIENT for p in snapshot["participants"])
    if participant["role"] != Role.PATIENT or n_patients == 1 or snapshot["focus"] == participant_id:
        return FOCUSED
    return EQUAL if snapshot["focus"] is None else BESIDE


def find_participant(
    snapshot: Snapshot, *, account_id: str | None, patient_id: str | None, helper_id: str | None = None
) -> str | None:
    """Return the participant that an account, a patient's tablet or a helper is; None where there is none."""
    people: Sequence[Mapping[str, Any]] = snapshot["participants"]
    for person in people:
        if account_id is not None and person["account_id"] == account_id:
            return str(person["id"])
        if patient_id is not None and person["role"] == Role.PATIENT and person["patient_id"] == patient_id:
            return str(person["id"])
        if helper_id is not None and person["helper_id"] == helper_id:
            return str(person["id"])
    return None


def _find(snapshot: Snapshot, participant_id: str) -> Mapping[str, Any]:
    return next(person for person in snapshot["participants"] if person["id"] == participant_id)


def _sits_beside(viewer: Mapping[str, Any], snapshot: Snapshot, participant_id: object) -> bool:
    """Tell whether a viewer is a helper beside this patient."""
    if viewer["role"] != Role.HELPER:
        return False
    return any(
        person["id"] == participant_id and person["patient_id"] == viewer["patient_id"]
        for person in snapshot["participants"]
    )


def _may_read_about(snapshot: Snapshot, viewer_id: str, participant_id: str) -> bool:
    return participant_id == viewer_id or participant_id in snapshot["sees"][viewer_id]
