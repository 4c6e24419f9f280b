"""What the API answers to one patient's tablet, or to a helper: enough of the contract to play every screen."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from telerehab.texts import texts_in
from tests.web.fake_clinic import FakeClinic, patient_of

EXERCISES = Path(__file__).parents[2] / "telerehab" / "care" / "data" / "exercises"
NOT_STOPPED: dict[str, Any] = {
    "is_stopped": False,
    "cause": None,
    "since": None,
    "needs_confirmation_by": None,
    "alert_ids": [],
    "telephone": "+45 12 34 56 78",
}
LIMITS = {
    "pain_max": 7,
    "pain_rise": 3,
    "heart_rate_max_per_min": 140,
    "heart_rate_min_per_min": None,
    "heart_rate_hold_s": 3,
    "heart_rate_margin_per_min": 5,
    "spo2_min_percent": None,
    "spo2_hold_s": 10,
    "spo2_margin_percent": 2,
    "is_fall_hint_on": True,
    "stream_lost_s": 30,
}
TELEPHONE = "+45 12 34 56 78"
NOW = datetime.now(UTC)


def planned(index: int, code: str, *, side: str, sets: int, repetitions: int, done: int = 0) -> dict[str, Any]:
    """Return one exercise of today, with the library's own words and figure."""
    content = json.loads((EXERCISES / f"{code}.v1.json").read_text(encoding="utf-8"))["content"]
    danish, english = (texts_in(language)[f"exercise.{code}"] for language in ("da", "en"))
    return {
        "index": index,
        "code": code,
        "version": 1,
        "local_id": None,
        "name": {"da": danish, "en": english},
        "start_pose": content["start_pose"],
        "equipment": content["equipment"],
        "instructions": content["instructions"],
        "safety": content["safety_notes"],
        "figure": content["figure"],
        "is_reviewed": False,
        "is_measurable": code != "trunk_rotation_seated",
        "default_target_deg": None,
        "side": side,
        "sets": sets,
        "repetitions": repetitions,
        "tempo": None,
        "target_low_deg": 0.0 if code == "knee_extension_seated" else None,
        "target_high_deg": 15.0 if code == "knee_extension_seated" else None,
        "load_kg": None,
        "band": None,
        "done_set_count": done,
    }


def short_items() -> list[dict[str, Any]]:
    """Return a plan that is soon trained: two sets, then one."""
    return [
        planned(0, "knee_extension_seated", side="right", sets=2, repetitions=3),
        planned(1, "sit_to_stand", side="both", sets=1, repetitions=2),
    ]


def long_items() -> list[dict[str, Any]]:
    """Return more exercises than the first screen has lines for."""
    return [
        planned(0, "sit_to_stand", side="both", sets=2, repetitions=8, done=2),
        planned(1, "knee_extension_seated", side="right", sets=3, repetitions=10),
        planned(2, "heel_slide", side="left", sets=2, repetitions=10),
        planned(3, "trunk_rotation_seated", side="both", sets=2, repetitions=10),
        planned(4, "heel_slide", side="right", sets=2, repetitions=10),
    ]


@dataclass(slots=True)
class PatientService:
    """The patient's side of the API. Tests set fields; `received` holds every write in its order."""

    items: Sequence[dict[str, Any]] | None = None
    """None: nobody has written a plan."""
    stop: dict[str, Any] = field(default_factory=lambda: dict(NOT_STOPPED))
    stops_on_reports: bool = True
    messages: list[dict[str, Any]] = field(default_factory=list)
    goals: list[dict[str, Any]] = field(default_factory=list)
    due: list[dict[str, Any]] = field(default_factory=list)
    appointments: list[dict[str, Any]] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    helped: list[dict[str, Any]] = field(default_factory=list)
    pause: dict[str, Any] | None = None
    help_call: dict[str, Any] | None = None
    help_told: str | None = "Mette Holm"
    is_out_of_hours: bool = False
    pin: str | None = None
    is_down: bool = False
    """True: every answer is the server's own fault."""
    is_logged_out: bool = False
    received: list[tuple[str, str, Any]] = field(default_factory=list)

    def __call__(self, method: str, path: str, body: Any) -> tuple[int, Any] | None:
        """Answer one request; None where the script of the clinic answers."""
        if self.is_down:
            return 503, {"code": "unavailable"}
        if self.is_logged_out:
            return 401, {"code": "not_logged_in"}
        if method == "GET":
            return self._read(path)
        self.received.append((method, path, body))
        return self._write(path, body)

    def writes(self, pattern: str) -> list[tuple[str, str, Any]]:
        """Return the writes whose path matches."""
        return [write for write in self.received if re.search(pattern, write[1])]

    def _read(self, path: str) -> tuple[int, Any] | None:
        answers: dict[str, Any] = {
            "today": self._today(),
            "stop": self.stop,
            "messages": self.messages,
            "goals": self.goals,
            "questionnaires-due": self.due,
            "adherence": {"days": self.days},
        }
        if path == "/api/my/today":
            return 200, answers["today"]
        if path == "/api/my/tablet-pin":
            return 200, {"has_pin": self.pin is not None}
        if path == "/api/my/patients":
            return 200, self.helped
        if path == "/api/appointments":
            return 200, self.appointments
        if path.startswith("/api/help-calls/"):
            return (200, self.help_call) if self.help_call is not None else (404, {"code": "not_found"})
        found = re.fullmatch(r"/api/patients/[^/]+/([a-z-]+)", path)
        return (200, answers[found[1]]) if found and found[1] in answers else None

    def _write(self, path: str, body: Any) -> tuple[int, Any] | None:
        if path == "/api/my/tablet-pin/check":
            return (200, {}) if body == {"pin": self.pin} else (401, {"code": "wrong_pin"})
        if path == "/api/my/tablet-pin":
            self.pin = body["pin"]
            return 200, {}
        if path.startswith("/api/alerts/"):
            self.stop = dict(NOT_STOPPED)
            return 200, self.stop
        if path == "/api/help-calls":
            self.help_call = self._new_call(body)
            return 200, self.help_call
        if path.endswith("/withdraw"):
            self.help_call = None
            return 200, {}
        if "/self-reports/" in path:
            if self.stops_on_reports and body["kind"] == "pain" and body["value"] >= LIMITS["pain_max"]:
                self.stop = stopped("pain_high", by="therapist")
            return 200, self.stop
        return (200, {}) if path.startswith(("/api/training-sessions/", "/api/patients/")) else None

    def _new_call(self, body: Any) -> dict[str, Any]:
        return {
            "id": body["id"],
            "state": "told" if self.help_told else "called",
            "told_name": self.help_told,
            "answered_name": None,
            "is_unanswered": self.is_out_of_hours,
            "is_out_of_hours": self.is_out_of_hours,
            "telephone": TELEPHONE,
        }

    def _today(self) -> dict[str, Any]:
        plan = {
            "id": "0b0f8f1e-0000-4000-8000-00000000aaaa",
            "number": 3,
            "hash": "4f2a91c0" + 56 * "0",
            "short_hash": "4f2a91c0",
            "limits": LIMITS,
            "items": self.items,
            "other_items": [],
        }
        return {
            "date": NOW.date().isoformat(),
            "plan": None if self.items is None else plan,
            "is_training_day": bool(self.items) and self.pause is None,
            "pause": self.pause,
        }


def stopped(cause: str, *, by: str, alert_ids: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the server says of a stop that stands."""
    said = {"is_stopped": True, "cause": cause, "since": NOW.isoformat(), "needs_confirmation_by": by}
    return {**NOT_STOPPED, **said, "alert_ids": list(alert_ids)}


def tablet_clinic(language: str, service: PatientService, **me: Any) -> FakeClinic:
    """Return a clinic for one patient's tablet with no live session."""
    return FakeClinic(
        me={
            "role": "tablet",
            "display_name": "Else",
            "language": language,
            "patient_id": patient_of(0),
            "account_id": None,
            "helper_id": None,
            "is_full": True,
            "organisation": {
                "id": "0b0f8f1e-0000-4000-8000-00000000bbbb",
                "name": "Sundhedshuset",
                "service": "rehab",
                "help_telephone": TELEPHONE,
                "time_zone": "Europe/Copenhagen",
            },
            **me,
        },
        service=service,
    )


def full_service() -> PatientService:
    """Return a patient with something on every screen."""
    days = [(NOW - timedelta(days=13 - i)).date().isoformat() for i in range(14)]
    states = ("done", "rest", "partly", "missed", "excused", "unmeasured", "done")
    return PatientService(
        items=long_items(),
        messages=[
            {
                "id": "1",
                "text": "Godt gået i går.",
                "sent_at": f"{days[11]}T09:00:00Z",
                "author": "Mette Holm",
                "is_own": False,
                "read_at": None,
            },
            {
                "id": "2",
                "text": "Tak, det gik fint.",
                "sent_at": f"{days[12]}T09:00:00Z",
                "author": None,
                "is_own": True,
                "read_at": None,
            },
            {
                "id": "3",
                "text": "Prøv at bøje lidt mere.",
                "sent_at": f"{days[13]}T06:00:00Z",
                "author": "Mette Holm",
                "is_own": False,
                "read_at": None,
            },
        ],
        goals=[
            {"id": "1", "text": "Gå til bageren uden stok", "state": "open", "target_on": days[13], "version": 1},
            {"id": "2", "text": "Løfte mit barnebarn", "state": "met", "target_on": None, "version": 1},
        ],
        due=[
            {
                "schedule_id": "0b0f8f1e-0000-4000-8000-00000000cccc",
                "due_on": days[13],
                "questionnaire_id": None,
                "definition": QUESTIONNAIRE,
            }
        ],
        appointments=[
            {
                "id": "1",
                "kind": "live_session",
                "title": "Knæhold",
                "starts_at": (NOW + timedelta(days=2)).replace(hour=9, minute=0).isoformat(),
                "state": "planned",
            }
        ],
        days=[
            {
                "day": day,
                "status": states[i % 7],
                "prescribed_set_count": 0 if states[i % 7] == "rest" else 7,
                "done_set_count": {"done": 7, "partly": 4, "unmeasured": None}.get(states[i % 7], 0),
            }
            for i, day in enumerate(days)
        ],
    )


QUESTIONNAIRE = {
    "code": "morning",
    "version": 1,
    "title": {"da": "Om morgenen", "en": "In the morning"},
    "questions": [
        {
            "kind": "number",
            "code": "pain",
            "text": {"da": "Hvor ondt har du lige nu?", "en": "How much pain do you have right now?"},
            "minimum": 0,
            "maximum": 10,
            "step": 1,
        },
        {
            "kind": "choice",
            "code": "sleep",
            "text": {"da": "Hvordan sov du?", "en": "How did you sleep?"},
            "options": [
                {"code": "well", "text": {"da": "Godt", "en": "Well"}, "value": 1},
                {"code": "badly", "text": {"da": "Dårligt", "en": "Badly"}, "value": 2},
            ],
        },
        {
            "kind": "number",
            "code": "health",
            "text": {"da": "Hvor godt har du det, fra 0 til 100?", "en": "How well are you, from 0 to 100?"},
            "minimum": 0,
            "maximum": 100,
            "step": 1,
        },
        {
            "kind": "text",
            "code": "words",
            "text": {"da": "Vil du fortælle mere?", "en": "Would you like to say more?"},
            "is_required": False,
        },
    ],
}
