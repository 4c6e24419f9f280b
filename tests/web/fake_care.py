"""The care of one therapist as a script: caseload, alerts, help calls and one patient's record, for the fake clinic.

It remembers what was sent, refuses what a test tells it to refuse, and keeps so much state that a page sees its own
writes: acknowledged alerts go, closed calls go, a saved plan is the next version.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.web.fake_clinic import FakeClinic, patient_of, therapist_clinic

Answer = tuple[int, Any]
ELSE = "0b0f8f1e-0000-4000-8000-000000000200"
STRANGER = "0b0f8f1e-0000-4000-8000-0000000009ff"
ALERT = "0b0f8f1e-0000-4000-8000-000000000301"
HELP_CALL = "0b0f8f1e-0000-4000-8000-000000000302"
FLAG = "0b0f8f1e-0000-4000-8000-000000000303"
TRAINING = "0b0f8f1e-0000-4000-8000-000000000304"
SET = "0b0f8f1e-0000-4000-8000-000000000305"
PHONE_ASSIGNMENT = "0b0f8f1e-0000-4000-8000-000000000306"
FIRST_NAMES = ("Else", "Poul", "Anna", "Bent", "Karen", "Ida", "Søren", "Åse", "Jørgen", "Lis")
LAST_NAMES = ("Jensen", "Kristensen", "Møller", "Sørensen", "Holst", "Thomsen", "Bæk", "Østergaard")
STATUSES = ("done", "rest", "done", "partly", "rest", "missed", "unmeasured", "excused", "done", "extra", "done")
QR = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="29" height="29"><path stroke="#000" d="M4 4.5h7m1 0h2m3 0h1m2 0h7'
    'M4 5.5h1m5 0h1m1 0h3m3 0h1m1 0h1m5 0h1M4 6.5h1m1 0h3m1 0h1m2 0h1m1 0h2m2 0h1m1 0h3m1 0h1"/></svg>'
)
LIMITS = {
    "pain_max": 7,
    "pain_rise": 3,
    "heart_rate_max_per_min": 130,
    "heart_rate_min_per_min": None,
    "heart_rate_hold_s": 10,
    "heart_rate_margin_per_min": 5,
    "spo2_min_percent": None,
    "spo2_hold_s": 10,
    "spo2_margin_percent": 2,
    "is_fall_hint_on": True,
    "stream_lost_s": 30,
}


def plan_item(exercise: str, **fields: Any) -> dict[str, Any]:
    """Return one item of a plan, whole, as the server writes it."""
    return {
        "exercise": exercise,
        "exercise_version": 1,
        "local_exercise_id": None,
        "side": "right",
        "sets": 2,
        "repetitions": 10,
        "tempo": {"up_s": 2, "hold_s": 2, "down_s": 3},
        "target_low_deg": 0,
        "target_high_deg": 15,
        "load_kg": None,
        "band": None,
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        **fields,
    }


@dataclass(slots=True)
class FakeCare:
    """The service. `refused` maps a part of "METHOD path" to a status and a problem code."""

    patient_count: int = 38
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    alerts: list[dict[str, Any]] = field(default_factory=list)
    help_calls: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, Answer] = field(default_factory=dict)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)
    needs: dict[str, str] = field(default_factory=dict)
    """Patient to another reason of rank: a test moves somebody up."""
    emergencies: list[dict[str, Any]] = field(default_factory=list)
    shift: int = 0
    """So many patients of the caseload's end come first."""

    def __post_init__(self) -> None:
        """Begin with two versions of a plan."""
        first = [plan_item("knee_extension_seated"), plan_item("sit_to_stand", side="both", tempo=None)]
        self.versions = [
            self._version(1, first, "Første plan"),
            self._version(2, [*first[:1], plan_item("mini_squat", side="both", weekdays=[1, 3, 5])], "Mere styrke"),
        ]

    def at(self, **ago: float) -> str:
        """Return a moment that was so long ago."""
        return (self.now - timedelta(**ago)).isoformat().replace("+00:00", "Z")

    def people(self) -> list[dict[str, Any]]:
        """Return who is in the therapist's care."""
        return [self._person(i) for i in range(self.patient_count)]

    def writes(self, part: str) -> list[Any]:
        """Return the bodies that were sent to paths with this part in them, refused ones too."""
        return [body for method, path, body in self.sent if method != "GET" and part in path]

    def __call__(self, method: str, path: str, body: Any) -> Answer | None:
        """Answer one request, or None where the script of the clinic does."""
        self.sent.append((method, path, body))
        for part, (status, code) in self.refused.items():
            if part in f"{method} {path}":
                extra = {"faults": code} if isinstance(code, list) else {"code": code}
                return status, {"code": "invalid", **extra}
        for pattern, answer in ROUTES:
            if (found := re.fullmatch(pattern, f"{method} {path}")) is not None:
                return answer(self, body, *found.groups())
        return None

    def _person(self, i: int) -> dict[str, Any]:
        return {
            "id": f"0b0f8f1e-0000-4000-8000-000000000{200 + i:03d}" if i < 700 else str(i),
            "display_name": f"{FIRST_NAMES[i % 10]} {LAST_NAMES[i % 8]}" + (f" {i // 40 + 1}" if i >= 40 else ""),
            "birth_date": f"{1936 + i % 20}-{1 + i % 12:02d}-{1 + i % 28:02d}",
            "language": "da",
        }

    def _adherence(self, i: int) -> dict[str, Any]:
        statuses = [*(STATUSES[(n * 3 + i) % len(STATUSES)] for n in range(13)), "open"]
        today = self.now.astimezone().date()
        return {"last_day": str(today), "statuses": [] if i == 9 else statuses, "completeness": None}

    def _flag(self, i: int) -> list[dict[str, Any]]:
        rules = (
            ("pain_high", 8, 7, "{score}", 5, "call", None),
            ("range_falling", 12.4, 6.1, "deg", 3, "review", "knee_extension_seated"),
            ("days_missed", 3, 3, "d", 2, "message", None),
            ("device_silent", 2, 2, "d", 1, "check_device", None),
        )
        if i >= len(rules) * 2:
            return []
        rule, value, threshold, unit, severity, action, exercise = rules[i // 2]
        return [
            {
                "id": f"{FLAG[:-2]}{60 + i}",
                "rule": rule,
                "value": value,
                "threshold": threshold,
                "unit": unit,
                "since": self.at(days=2),
                "state": "acknowledged" if i == 7 else "open",
                "severity": severity,
                "suggested_action": action,
                "exercise": exercise,
                "side": "right" if exercise else None,
                "version": 1,
            }
        ]

    def caseload(self) -> dict[str, Any]:
        """Return the caseload in order of need."""
        ranks = ("high_pain", "high_pain", "worse", "worse", "watch", "watch", "technical", "seen", "message")
        patients = [
            {
                **person,
                "flags": self._flag(i),
                "open_alerts": 0,
                "open_help_call": None,
                "adherence": self._adherence(i),
                "last_training_at": None if i == 9 else self.at(days=i % 5, hours=3),
                "pain_last": None if i % 3 == 2 else i % 9,
                "unread_messages": 2 if i == 8 else 0,
                "rank_reason": self.needs.get(person["id"], ranks[i] if i < len(ranks) else "fine"),
                "rank_since": self.at(hours=4),
            }
            for i, person in enumerate(self.people())
        ]
        cut = len(patients) - self.shift
        return {"patients": [*patients[cut:], *patients[:cut]], "counted_at": self.at(seconds=4)}

    def alert(self, **fields: Any) -> dict[str, Any]:
        """Return an open alert of the second patient."""
        person = self._person(1)
        return {
            "id": ALERT,
            "patient_id": person["id"],
            "display_name": person["display_name"],
            "birth_date": person["birth_date"],
            "training_session_id": TRAINING,
            "cause": "pain_high",
            "value": 8.0,
            "limit": 7.0,
            "began_at": self.at(minutes=3),
            "found_at": self.at(minutes=3),
            "is_stop": True,
            "is_standing": True,
            "needs_confirmation_by": "therapist",
            "acknowledged": None,
            **fields,
        }

    def help_call(self, **fields: Any) -> dict[str, Any]:
        """Return an open help call of the first patient."""
        person = self._person(0)
        return {
            "id": HELP_CALL,
            "patient_id": person["id"],
            "display_name": person["display_name"],
            "birth_date": person["birth_date"],
            "patient_telephone": "+45 12 34 56 78",
            "live_session_id": None,
            "state": "told",
            "called_at": self.at(seconds=20),
            "rang_at": self.at(seconds=20),
            "told_name": "Mette Holm",
            "answered_name": None,
            "answered_at": None,
            "is_out_of_hours": False,
            **fields,
        }

    def notice(self) -> dict[str, Any]:
        """Return a notice about the third patient that nobody has read."""
        person = self._person(2)
        return {
            "id": SET,
            "kind": "notice.flag",
            "patient_id": person["id"],
            "display_name": person["display_name"],
            "birth_date": person["birth_date"],
            "day": str(self.now.date()),
            "data": {"rule": "range_falling", "number": 12.4},
            "created_at": self.at(hours=1),
            "read_at": None,
        }

    def _version(self, number: int, items: list[dict[str, Any]], reason: str) -> dict[str, Any]:
        full = f"{number:02d}a7f3c9" * 8
        return {
            "id": f"{FLAG[:-2]}{80 + number}",
            "number": number,
            "content": {"items": items, "limits": dict(LIMITS), "valid_from": str(date(2026, 11, number))},
            "hash": full,
            "short_hash": full[:8],
            "author": {"account_id": patient_of(0), "display_name": "Mette Holm"},
            "reason": reason,
            "template": None,
            "created_at": self.at(days=30 - 10 * number),
            "is_in_force": number >= 2,
        }

    def add_version(self, body: Any) -> Answer:
        """Take the next version, unless it is based on an old one."""
        head = self.versions[-1]["number"]
        if body["based_on"] != head:
            return 409, {"code": "plan_moved"}
        version = self._version(head + 1, body["content"]["items"], body["reason"])
        self.versions.append(version)
        return 201, version


def _record(care: FakeCare, _body: Any, patient: str) -> Answer:
    found = [person for person in care.people() if person["id"] == patient]
    if not found and any(each["patient_id"] == patient for each in care.emergencies):
        person = {**care._person(0), "id": patient, "display_name": "Grethe Lund"}
        scopes = ["identify", "see_plan", "see_results"]
        return 200, {**person, "telephone": None, "has_cpr": True, "has_address_mark": True, "scopes": scopes}
    if not found:
        return 404, {"code": "not_found"}
    secrets = {"has_cpr": True, "has_address_mark": True}
    return 200, {**found[0], "telephone": "+45 12 34 56 78", "scopes": ["identify", "write_care"], **secrets}


def _adherence(care: FakeCare, _body: Any, _patient: str) -> Answer:
    today = care.now.astimezone().date()
    first = today.replace(day=1)
    days: list[dict[str, Any]] = []
    for n in range(31):
        day = first + timedelta(days=n)
        if day.month != first.month:
            break
        status = "ahead" if day > today else "open" if day == today else STATUSES[n % len(STATUSES)]
        done = {"done": 5, "partly": 2, "missed": 0, "excused": 0, "extra": 2}.get(status)
        days.append(
            {
                "day": str(day),
                "status": status,
                "plan_number": 2,
                "prescribed_set_count": 0 if status in {"rest", "extra"} else 5,
                "done_set_count": done,
                "completeness": None,
                "pause": "illness" if status == "excused" else None,
            }
        )
    return 200, {"days": days, "counts": {}, "completeness": 0.72, "missed_run": 1, "is_incomplete": True}


_LEDGER = {
    "training_session_id": SET,
    "streams": [{"missing": 3, "lost": {"device_overflow": 40}}],
    "silent": [],
    "completeness": 0.8213,
    "is_incomplete": True,
}


def _results(care: FakeCare, _body: Any, _training: str) -> Answer:
    correction = {
        "id": f"{SET[:-2]}91",
        "training_set_id": SET,
        "kind": "repetition_count",
        "original": {"repetitions": 9},
        "corrected": {"repetitions": 10},
        "note": "Talte selv med",
        "author": "Mette Holm",
        "at": care.at(hours=2),
        "withdrawn_at": None,
    }
    common = {"exercise": "knee_extension_seated", "side": "right", "target_repetitions": 10}
    repetitions = [{"index": i, "rom_deg": 82.5 - i, "trust": 0.9, "reason": 0} for i in range(9)]
    holds = {"original_count": 9, "is_valid": True}
    measured = {
        "counted": 10,
        **holds,
        "rom_median_deg": 78.5,
        "trust": 0.93,
        "completeness": 0.99,
        "repetitions": repetitions,
    }
    nothing: dict[str, Any] = {
        "counted": None,
        "original_count": None,
        "is_valid": True,
        "rom_median_deg": None,
        "trust": None,
        "completeness": None,
        "repetitions": [],
    }
    zero = {**measured, "counted": 0, "original_count": 0, "rom_median_deg": None, "trust": 0.4, "repetitions": []}
    sets = [
        {"id": SET, **common, "number": 1, "set_number": 1, **measured, "corrections": [correction]},
        {"id": f"{SET[:-2]}06", **common, "number": 2, "set_number": 2, **nothing, "corrections": []},
        {"id": f"{SET[:-2]}07", **common, "number": 3, "set_number": 3, **zero, "corrections": []},
    ]
    report = {"training_set_id": None, "at": care.at(hours=3)}
    reports = [
        {"id": f"{SET[:-2]}71", "kind": "pain", "value": 2, "phase": "start", **report},
        {"id": f"{SET[:-2]}72", "kind": "effort", "value": 4, "phase": "end", **report},
    ]
    return 200, {"sets": sets, "outside": [], "corrections": [correction], "self_reports": reports}


def _training_sessions(care: FakeCare, _body: Any, _patient: str) -> Answer:
    common = {"exercise": "knee_extension_seated", "side": "right", "helper_id": None, "close_reason": "done"}
    return 200, [
        {
            "id": TRAINING,
            **common,
            "live_session_id": None,
            "opened_at": care.at(hours=4),
            "closed_at": care.at(hours=3),
        },
        {
            "id": f"{SET[:-2]}08",
            **common,
            "live_session_id": HELP_CALL,
            "opened_at": care.at(days=2),
            "closed_at": care.at(days=2),
        },
    ]


def _flag(care: FakeCare, _body: Any, flag: str) -> Answer:
    found = next(one for person in care.caseload()["patients"] for one in person["flags"] if one["id"] == flag)
    today = care.now.date()
    evidence = [
        {"source": "training_session", "id": f"{i}", "day": str(today - timedelta(days=5 - i)), "value": 80.0 - 4 * i}
        for i in range(5)
    ]
    return 200, {**found, "evidence": evidence, "actions": []}


def _acknowledge(care: FakeCare, _body: Any, alert: str) -> Answer:
    care.alerts = [one for one in care.alerts if one["id"] != alert]
    return 200, {}


def _read_notice(care: FakeCare, _body: Any, notice: str) -> Answer:
    for one in care.notices:
        if one["id"] == notice:
            one["read_at"] = care.at()
    return 200, {}


def _answer_call(care: FakeCare, _body: Any, call: str) -> Answer:
    for one in care.help_calls:
        if one["id"] == call:
            one.update(state="answered", answered_name="Mette Holm", answered_at=care.at())
    return 200, {}


def _close_call(care: FakeCare, _body: Any, call: str) -> Answer:
    care.help_calls = [one for one in care.help_calls if one["id"] != call]
    return 200, {}


def _diff(care: FakeCare, _body: Any, _patient: str, _number: str) -> Answer:
    item = {"of": "item", "exercise": "sit_to_stand", "local_exercise_id": None, "side": "both"}
    changes = [
        {"kind": "removed", **item, "field": None, "before": {}, "after": None},
        {
            **item,
            "kind": "changed",
            "exercise": "knee_extension_seated",
            "field": "repetitions",
            "before": 8,
            "after": 10,
        },
        {**item, "kind": "changed", "of": "limits", "exercise": None, "field": "pain_max", "before": 7, "after": 6},
    ]
    return 200, {"from_number": 1, "to_number": care.versions[-1]["number"], "changes": changes}


def _break_glass(care: FakeCare, body: Any) -> Answer:
    ends_at = (care.now + timedelta(minutes=60)).isoformat()
    opened = {
        "id": f"{SET[:-2]}61",
        "patient_id": body.get("patient_id", STRANGER),
        "display_name": "Grethe Lund",
        "birth_date": "1941-02-28",
        "starts_at": care.at(),
        "ends_at": ends_at,
    }
    care.emergencies.append(opened)
    return 201, opened


def _exercises(_care: FakeCare, _body: Any) -> Answer:
    names = (
        ("knee_extension_seated", "Knæstræk på stol", "Seated knee extension", [0.0, 15.0]),
        ("heel_slide", "Hælen ind mod sædet", "Heel slide", [80.0, 110.0]),
        ("row_band", "Roning med elastik", "Row with a band", None),
    )
    return 200, [
        {
            "code": code,
            "version": 1,
            "local_id": None,
            "name": {"da": da, "en": en},
            "is_reviewed": False,
            "is_measurable": target is not None,
            "default_target_deg": target,
        }
        for code, da, en, target in names
    ]


def _templates(_care: FakeCare, _body: Any) -> Answer:
    title = {"da": "Knæ: de første uger", "en": "Knee: the first weeks"}
    items = [plan_item("heel_slide", target_low_deg=70, target_high_deg=95), plan_item("heel_raise", side="both")]
    return 200, [
        {"code": "knee", "version": 1, "title": title, "is_reviewed": False, "items": items, "limits": dict(LIMITS)}
    ]


def _fixed(make: Callable[[FakeCare], Any], status: int = 200) -> Callable[..., Answer]:
    return lambda care, _body, *_groups: (status, make(care))


_P = r"/api/patients/([0-9a-f-]{36})"
_X = r"/([0-9a-f-]+)"
ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"GET /api/patients", _fixed(FakeCare.people)),
    (r"GET /api/caseload", _fixed(FakeCare.caseload)),
    (r"GET /api/alerts", _fixed(lambda care: care.alerts)),
    (r"GET /api/help-calls", _fixed(lambda care: care.help_calls)),
    (r"GET /api/notices", _fixed(lambda care: care.notices)),
    (rf"POST /api/notices{_X}/read", _read_notice),
    (rf"POST /api/alerts{_X}/acknowledge", _acknowledge),
    (rf"POST /api/help-calls{_X}/answer", _answer_call),
    (rf"POST /api/help-calls{_X}/close", _close_call),
    (rf"GET /api/flags{_X}", _flag),
    (rf"GET {_P}", _record),
    (rf"POST {_P}/reveal", _fixed(lambda care: {"value": "0403441234"})),
    (rf"GET {_P}/plan", _fixed(lambda care: care.versions[-1])),
    (rf"GET {_P}/plan-versions", _fixed(lambda care: care.versions[::-1])),
    (rf"GET {_P}/plan-versions/(\d+)/diff", _diff),
    (rf"POST {_P}/plan-versions", lambda care, body, _patient: care.add_version(body)),
    (r"GET /api/exercises", _exercises),
    (r"GET /api/plan-templates", _templates),
    (rf"GET {_P}/training-sessions", _training_sessions),
    (rf"GET /api/training-sessions{_X}/results", _results),
    (rf"GET /api/training-sessions{_X}/ledger", _fixed(lambda care: _LEDGER)),
    (rf"GET {_P}/adherence", _adherence),
    (
        rf"GET {_P}/pauses",
        _fixed(lambda care: [{"id": SET, "kind": "illness", "starts_on": "2026-11-08", "ends_on": "2026-11-09"}]),
    ),
    (
        rf"GET {_P}/goals",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "text": "Jeg vil kunne gå til købmanden selv",
                    "target_on": "2026-12-24",
                    "measure": None,
                    "state": "open",
                    "version": 1,
                }
            ]
        ),
    ),
    (
        rf"GET {_P}/messages",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "text": "Jeg har ondt, når jeg går ned ad trappen.",
                    "sent_at": care.at(hours=20),
                    "read_at": None,
                    "from": "patient",
                    "author": None,
                },
                {
                    "id": TRAINING,
                    "text": "Tag det roligt i dag. Vi taler om det i morgen.",
                    "sent_at": care.at(hours=1),
                    "read_at": None,
                    "from": "staff",
                    "author": "Mette Holm",
                },
            ]
        ),
    ),
    (
        r"GET /api/questionnaires",
        _fixed(
            lambda care: [
                {"id": None, "definition": {"code": "pain_nrs", "version": 1, "title": {"da": "Smerte", "en": "Pain"}}}
            ]
        ),
    ),
    (
        rf"GET {_P}/questionnaire-schedules",
        _fixed(
            lambda care: [
                {"id": SET, "code": "pain_nrs", "first_on": "2026-11-02", "every_days": 7, "until": "2027-01-31"}
            ]
        ),
    ),
    (
        rf"GET {_P}/questionnaire-responses",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "code": "pain_nrs",
                    "title": {"da": "Smerte", "en": "Pain"},
                    "due_on": "2026-11-16",
                    "scores": [
                        {
                            "code": "pain",
                            "title": {"da": "Smerte (0-10)", "en": "Pain (0-10)"},
                            "value": 3.0,
                            "reason": None,
                        }
                    ],
                    "answered_at": care.at(days=5),
                }
            ]
        ),
    ),
    (
        rf"GET {_P}/referrals",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "kind": "general",
                    "discharged_on": "2026-11-10",
                    "received_on": "2026-11-10",
                    "informed_on": "2026-11-12",
                    "first_offered_on": None,
                    "started_on": None,
                    "stopped_on": None,
                    "stop_reason": None,
                    "note": "Nyt knæ, højre",
                    "version": 1,
                    "clock": {
                        "start": {"state": "late", "last_day": "2026-11-17", "days_left": None, "days_late": 5},
                        "inform": {"state": "in_time", "last_day": "2026-11-14", "days_left": None, "days_late": None},
                        "has_free_choice": True,
                    },
                }
            ]
        ),
    ),
    (
        r"GET /api/appointments",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "kind": "live_session",
                    "title": "Livetræning",
                    "patient_id": ELSE,
                    "display_name": "Else Jensen",
                    "birth_date": "1936-01-01",
                    "group_name": None,
                    "starts_at": "2026-11-25T09:00:00Z",
                    "ends_at": "2026-11-25T09:30:00Z",
                    "state": "planned",
                    "version": 1,
                }
            ]
        ),
    ),
    (r"GET /api/calendar-feeds", _fixed(lambda care: [{"id": SET, "created_at": care.at(days=4)}])),
    (r"POST /api/calendar-feeds", _fixed(lambda care: {"address": "/api/calendar/kQ3vT8.ics"}, 201)),
    (
        rf"GET {_P}/helpers",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "name": "Lone (datter)",
                    "scopes": ["join", "see_plan"],
                    "ends_at": "2027-02-01T00:00:00Z",
                    "accepted_at": care.at(days=3),
                    "revoked_at": None,
                }
            ]
        ),
    ),
    (
        rf"POST {_P}/helpers",
        _fixed(
            lambda care: {
                "grant_id": SET,
                "link": "https://clinic.localhost/enter#invitation=Zx81",
                "expires_at": care.at(days=-7),
                "qr_svg": QR,
            },
            201,
        ),
    ),
    (
        rf"GET {_P}/consents",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "kind": "auto_answer",
                    "given_how": "spoken",
                    "given_at": care.at(days=3),
                    "ends_at": None,
                    "revoked_at": None,
                }
            ]
        ),
    ),
    (
        rf"GET {_P}/tablets",
        _fixed(
            lambda care: [{"id": SET, "paired_at": care.at(days=10), "revoked_at": None, "last_seen_at": care.at()}]
        ),
    ),
    (
        rf"POST {_P}/tablet-links",
        _fixed(
            lambda care: {
                "link": "https://clinic.localhost/enter#Zx82",
                "qr_svg": QR,
                "expires_at": care.at(minutes=-10),
            },
            201,
        ),
    ),
    (
        r"POST /api/tablet-pairing-codes",
        _fixed(lambda care: {"code": "042517", "expires_at": care.at(minutes=-10)}, 201),
    ),
    (r"GET /api/kits", _fixed(lambda care: [{"id": SET, "name": "Kasse 7"}])),
    (
        r"GET /api/devices",
        _fixed(
            lambda care: [
                {
                    "name": "imu-0102",
                    "kind": "imu6",
                    "kit_id": None,
                    "usual_site": "thigh_right",
                    "is_lent": False,
                    "is_revoked": False,
                    "hindrance": "device_not_empty",
                    "bytes_kept": 48_200,
                    "heard_at": care.at(minutes=1),
                    "wipe_asked_at": None,
                },
                {
                    "name": "phone-3",
                    "kind": "phone",
                    "kit_id": None,
                    "usual_site": None,
                    "is_lent": True,
                    "is_revoked": False,
                    "hindrance": None,
                    "bytes_kept": 0,
                    "heard_at": care.at(minutes=1),
                    "wipe_asked_at": None,
                },
            ]
        ),
    ),
    (
        rf"GET {_P}/assignments",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "device_name": "imu-0101",
                    "body_site": "shank_right",
                    "starts_at": care.at(days=10),
                    "ends_at": None,
                },
                {
                    "id": PHONE_ASSIGNMENT,
                    "device_name": "phone-3",
                    "body_site": "upper_arm_right",
                    "starts_at": care.at(days=1),
                    "ends_at": None,
                },
            ]
        ),
    ),
    (
        rf"POST /api/assignments/{PHONE_ASSIGNMENT}/phone-link",
        _fixed(
            lambda care: {
                "link": "https://clinic.localhost/sensor#phone-3.1790000000.Zx82",
                "qr_svg": QR,
                "expires_at": care.at(days=-1),
            },
            201,
        ),
    ),
    (
        rf"GET {_P}/access-log",
        _fixed(
            lambda care: [
                {"sequence": 2, "at": care.at(hours=5), "action": "reveal_cpr", "who": "Mette Holm", "allowed": True}
            ]
        ),
    ),
    (r"GET /api/break-glass", _fixed(lambda care: care.emergencies)),
    (r"POST /api/break-glass", _break_glass),
    (
        r"GET /api/my/logins",
        _fixed(
            lambda care: [
                {
                    "id": SET,
                    "browser": "Chromium, Linux",
                    "created_at": care.at(hours=2),
                    "last_seen_at": care.at(),
                    "is_this": True,
                },
                {
                    "id": TRAINING,
                    "browser": "?, ?",
                    "created_at": care.at(days=2),
                    "last_seen_at": care.at(days=1),
                    "is_this": False,
                },
            ]
        ),
    ),
    (
        r"GET /api/my/second-factors",
        _fixed(
            lambda care: {
                "totp": False,
                "passkeys": [{"id": SET, "created_at": care.at(days=20), "last_used_at": None}],
            }
        ),
    ),
    (
        r"POST /api/my/totp",
        _fixed(lambda care: {"secret": "JBSWY3DPEHPK3PXP", "address": "otpauth://totp/Telerehab", "qr_svg": QR}),
    ),
    (r"(?:POST|PUT|DELETE) /api/(?!live-sessions|training-sessions/[0-9a-f-]+$).*", lambda care, body: (200, {})),
]


def care_clinic(language: str, *, patients: int = 38) -> tuple[FakeClinic, FakeCare]:
    """Return a clinic for one therapist with patients, and the service behind it."""
    clinic = therapist_clinic(language)
    care = FakeCare(patient_count=patients)
    clinic.service = care
    return clinic, care
