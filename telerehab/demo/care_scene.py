"""The care scene: Vera Lind trains alone on a tablet without sensors, is stopped, goes on, and calls for help.

It runs beside the homes and takes nothing from them. Tablet, therapist and a stranger are three logins over the real
HTTP API; every request has an id of its own and may be sent twice, so a role that is killed meanwhile does no harm.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from telerehab.demo.care_report import WHOLE_FROM_S, CareReport, CareStep, Outcome, StepReport, account_for
from telerehab.demo.past import Planted
from telerehab.demo.visitor import CareFaultError, Door, Visitor, look_until, require

PAIN_BEFORE: Final = 2
PAIN_THAT_STOPS: Final = 8
ALERT_SEEN_MAX_S: Final = 2.0
UNANSWERED_S: Final = (30.0, 31.0)
"""When the tablet must have been told, after the press."""
GIVE_UP_AFTER_S: Final = 10.0
LOOK_S: Final = 0.1
FLAGS_LOOK_S: Final = 2.0
PAUSES: Final = 5
PAUSE_MAX_S: Final = 10.0
"""Time for a person to see what has happened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CareDoors:
    """The scene's logins, and whom it is about."""

    patient_id: UUID
    tablet: Door
    therapist: Door
    stranger: Door
    planted: tuple[Planted, ...]
    name: str
    birth_date: str
    """ISO; beside the name wherever the patient is shown."""
    telephone: str
    """Which the tablet must be told."""


def pause_for(planned_s: float | None) -> float:
    """Return how long each pause of the scene is [s]: none in a minute, ten seconds where there is time.

    Examples
    --------
    >>> [pause_for(planned_s) for planned_s in (25, 60, 90, 300, None)]
    [0.0, 0.0, 5.0, 10.0, 10.0]
    """
    if planned_s is None:
        return PAUSE_MAX_S
    return min(max(planned_s - WHOLE_FROM_S, 0.0) / (PAUSES + 1), PAUSE_MAX_S)


def has_help_call(planned_s: float | None) -> bool:
    """Return whether a run is long enough to wait for nobody's answer."""
    return planned_s is None or planned_s >= WHOLE_FROM_S


class CareScene:
    """Plays the scene once; `report` says how it went, at any time."""

    def __init__(self, doors: CareDoors, *, planned_s: float | None) -> None:
        self._doors = doors
        self._planned_s = planned_s
        self._patient = f"/api/patients/{doors.patient_id}"
        self._training_session = uuid4()
        self._steps: list[StepReport] = []
        self._plan: dict[str, Any] = {}
        self._alert_id: str | None = None
        self._stopped_s = 0.0

    async def run(self) -> None:
        """Play until the end of the scene."""
        doors = self._doors
        async with (
            Visitor("tablet", doors.tablet) as tablet,
            Visitor("therapist", doors.therapist) as therapist,
            Visitor("stranger", doors.stranger) as stranger,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._play(tablet, therapist, stranger))
            tasks.create_task(self._step(CareStep.FLAGS, lambda: self._see_flags(therapist)))

    def report(self, *, was_told_to_end: bool) -> CareReport:
        """Return the account of what was played so far."""
        return account_for(self._steps, planned_s=self._planned_s, was_told_to_end=was_told_to_end)

    async def _play(self, tablet: Visitor, therapist: Visitor, stranger: Visitor) -> None:
        await self._step(CareStep.SAME_PLAN, lambda: self._compare_plans(tablet, therapist))
        await self._step(CareStep.OWN_CLINIC_ONLY, lambda: self._stay_outside(stranger))
        await self._pause()
        await self._step(CareStep.STOP_ON_PAIN, lambda: self._report_pain(tablet))
        await self._step(CareStep.ALERT_SEEN, lambda: self._see_alert(therapist))
        await self._step(CareStep.NO_WAY_BACK, lambda: self._try_to_begin(tablet))
        await self._pause()
        await self._step(CareStep.MAY_CONTINUE, lambda: self._let_go_on(tablet, therapist))
        await self._pause()
        await self._step(CareStep.RECEIPT, lambda: self._finish(tablet))
        await self._pause()
        if not has_help_call(self._planned_s):
            for step in (CareStep.HELP_UNANSWERED, CareStep.HELP_CLOSED):
                self._note(step, Outcome.LEFT_OUT, f"needs a run of {WHOLE_FROM_S:.0f} s")
            return
        call_id = uuid4()
        await self._step(CareStep.HELP_UNANSWERED, lambda: self._call_for_help(tablet, call_id))
        await self._pause()
        await self._step(CareStep.HELP_CLOSED, lambda: self._answer_call(tablet, therapist, call_id))

    async def _pause(self) -> None:
        await asyncio.sleep(pause_for(self._planned_s))

    async def _step(self, step: CareStep, play: Callable[[], Awaitable[str]]) -> None:
        """Play one step and note how it went."""
        began_s = time.monotonic()
        try:
            detail, outcome = await play(), Outcome.RIGHT
        except CareFaultError as fault:
            detail, outcome = str(fault), Outcome.WRONG
        except _SomebodyElseError as somebody:
            detail, outcome = str(somebody), Outcome.LEFT_OUT
        except (KeyError, TypeError, ValueError) as error:  # an answer of another shape
            detail, outcome = f"an answer is not as described: {type(error).__name__}", Outcome.WRONG
        self._note(step, outcome, detail, seconds=round(time.monotonic() - began_s, 2))

    def _note(self, step: CareStep, outcome: Outcome, detail: str, *, seconds: float | None = None) -> None:
        self._steps.append(StepReport(step=step, outcome=outcome, detail=detail, seconds=seconds))

    async def _compare_plans(self, tablet: Visitor, therapist: Visitor) -> str:
        today = await tablet.get("/api/my/today")
        head = await therapist.get(f"{self._patient}/plan")
        require(bool(today["plan"] and today["plan"]["items"]), "the tablet has nothing to train")
        self._plan = today["plan"]
        require(self._plan["hash"] == head["hash"], "the hashes differ")
        return f"version {head['number']}, {head['short_hash']}"

    async def _stay_outside(self, stranger: Visitor) -> str:
        today = datetime.now(UTC).date().isoformat()
        paths = ("", "/plan", "/today", "/stop", "/goals", "/messages", f"/training-sessions?from={today}&to={today}")
        for path in paths:
            await stranger.refused("GET", f"{self._patient}{path}", status=404, code="not_found")
        body = self._wish()
        await stranger.refused("PUT", f"/api/training-sessions/{uuid4()}", body, status=404, code="not_found")
        return f"{len(paths) + 1} times 404"

    async def _report_pain(self, tablet: Visitor) -> str:
        await tablet.put(f"/api/training-sessions/{self._training_session}", self._wish())
        await self._say(tablet, "pain", PAIN_BEFORE, phase="start")
        set_id = uuid4()
        await self._begin_set(tablet, set_id, 1)
        self._stopped_s = time.monotonic()
        stop = await self._say(tablet, "pain", PAIN_THAT_STOPS, phase="during", set_id=set_id)
        require(stop["is_stopped"], "the tablet was not told to stop")
        require(
            (stop["cause"], stop["needs_confirmation_by"]) == ("pain_high", "therapist"),
            "the tablet was told another cause",
        )
        require(stop["telephone"] == self._doors.telephone, "the tablet was not told the telephone number")
        await tablet.post(
            f"/api/training-sessions/{self._training_session}/sets/{set_id}/end",
            {"reason": "pain", "counted_repetitions": 4},
        )
        return "told at once, with the telephone number"

    async def _see_alert(self, therapist: Visitor) -> str:
        require(self._stopped_s > 0, "no pain was reported")

        async def look() -> dict[str, Any] | None:
            alerts = await therapist.get("/api/alerts?open=true")
            return next((each for each in alerts if each["patient_id"] == str(self._doors.patient_id)), None)

        alert = await look_until(look, every_s=LOOK_S, within_s=GIVE_UP_AFTER_S)
        taken_s = time.monotonic() - self._stopped_s
        if alert is None:
            raise CareFaultError("there is no alert")
        self._alert_id = alert["id"]
        require(taken_s <= ALERT_SEEN_MAX_S, f"only after {taken_s:.1f} s")
        shown = (alert["display_name"], alert["birth_date"])
        require(shown == (self._doors.name, self._doors.birth_date), "without name and birth date")
        require((alert["cause"], alert["value"], alert["is_standing"]) == ("pain_high", 8, True), "another alert")
        return f"after {taken_s:.2f} s, with name and birth date"

    async def _try_to_begin(self, tablet: Visitor) -> str:
        for path, body in (
            (f"/api/training-sessions/{uuid4()}", self._wish()),
            (f"/api/training-sessions/{self._training_session}/sets/{uuid4()}", self._set(2)),
        ):
            await tablet.refused("PUT", path, body, status=409, code="stop_unconfirmed")
        return "training session and set refused"

    async def _let_go_on(self, tablet: Visitor, therapist: Visitor) -> str:
        require(self._alert_id is not None, "there is no alert to acknowledge")
        await therapist.post(f"/api/alerts/{self._alert_id}/acknowledge", {"action": "may_continue", "note": None})
        stop = await tablet.get(f"{self._patient}/stop")
        require(not stop["is_stopped"], "the tablet is still stopped")
        open_ids = {each["id"] for each in await therapist.get("/api/alerts?open=true")}
        require(self._alert_id not in open_ids, "the alert is still open")
        return "the tablet is free"

    async def _finish(self, tablet: Visitor) -> str:
        set_id = uuid4()
        await self._begin_set(tablet, set_id, 2)
        own = f"/api/training-sessions/{self._training_session}"
        await tablet.post(f"{own}/sets/{set_id}/end", {"reason": "done", "counted_repetitions": 10})
        await self._say(tablet, "effort", 4, phase="end")
        await tablet.post(f"{own}/close", {"reason": "done"})
        kept = await tablet.get(own)
        require((kept["close_reason"], kept["closed_at"] is None) == ("done", False), "it is not closed")
        ends = [(each["end_reason"], each["counted_repetitions"]) for each in kept["sets"]]
        require(ends == [("pain", 4), ("done", 10)], "the sets are not as they were trained")
        today = await tablet.get("/api/my/today")
        require(today["plan"]["items"][0]["done_set_count"] >= 1, "today's plan knows nothing of it")
        return "2 sets, 14 repetitions"

    async def _call_for_help(self, tablet: Visitor, call_id: UUID) -> str:
        pressed_s = time.monotonic()
        await tablet.post("/api/help-calls", {"id": str(call_id), "live_session_id": None})

        async def look() -> dict[str, Any] | None:
            call: dict[str, Any] = await tablet.get(f"/api/help-calls/{call_id}")
            return call if call["is_unanswered"] or call["state"] in ("answered", "closed") else None

        call = await look_until(look, every_s=LOOK_S, within_s=UNANSWERED_S[1] + GIVE_UP_AFTER_S)
        taken_s = time.monotonic() - pressed_s
        if call is None:
            raise CareFaultError(f"the tablet was told nothing for {taken_s:.0f} s")
        if not call["is_unanswered"]:
            raise _SomebodyElseError("somebody at a page answered the call first")
        require(not call["is_out_of_hours"], "somebody is on duty, and the tablet was told otherwise")
        require(UNANSWERED_S[0] <= taken_s <= UNANSWERED_S[1], f"the tablet was told after {taken_s:.1f} s")
        told = (call["telephone"], call["emergency_text_key"])
        require(told == (self._doors.telephone, "help.emergency"), "the tablet was not told telephone and 112")
        return f"after {taken_s:.1f} s"

    async def _answer_call(self, tablet: Visitor, therapist: Visitor, call_id: UUID) -> str:
        rings = await therapist.get("/api/help-calls?open=true")
        if not any(each["id"] == str(call_id) for each in rings):
            call = await tablet.get(f"/api/help-calls/{call_id}")
            require(call["state"] == "closed", "the therapist does not see the call")
            raise _SomebodyElseError("somebody at a page closed the call first")
        answered = await therapist.post(f"/api/help-calls/{call_id}/answer")
        require(answered["state"] == "answered", "the call was not taken")
        seen = await tablet.get(f"/api/help-calls/{call_id}")
        require((seen["state"], bool(seen["answered_name"])) == ("answered", True), "the tablet does not see by whom")
        closing = {"outcome": "helped", "note": None}
        closed = await therapist.post(f"/api/help-calls/{call_id}/close", closing)
        require(closed["state"] == "closed", "the call is still open")
        return "answered, then closed as helped"

    async def _see_flags(self, therapist: Visitor) -> str:
        wanted = {(str(each.patient_id), each.rule) for each in self._doors.planted}

        async def look() -> bool | None:
            caseload = await therapist.get("/api/caseload")
            found = {(each["id"], flag["rule"]) for each in caseload["patients"] for flag in each["flags"]}
            return True if wanted <= found else None

        await look_until(look, every_s=FLAGS_LOOK_S, within_s=float("inf"))
        return ", ".join(f"{each.rule} of {each.name}" for each in self._doors.planted)

    async def _say(
        self, tablet: Visitor, kind: str, value: int, *, phase: str, set_id: UUID | None = None
    ) -> dict[str, Any]:
        body = {
            "training_session_id": str(self._training_session),
            "training_set_id": None if set_id is None else str(set_id),
            "kind": kind,
            "value": value,
            "phase": phase,
            "at": datetime.now(UTC).isoformat(),
        }
        answer: dict[str, Any] = await tablet.put(f"{self._patient}/self-reports/{uuid4()}", body)
        return answer

    async def _begin_set(self, tablet: Visitor, set_id: UUID, number: int) -> None:
        await tablet.put(f"/api/training-sessions/{self._training_session}/sets/{set_id}", self._set(number))

    def _first_item(self) -> dict[str, Any]:
        items: Sequence[dict[str, Any]] = self._plan.get("items", ())
        require(bool(items), "there is no plan to train")
        return items[0]

    def _wish(self) -> dict[str, Any]:
        item = self._first_item()
        return {
            "patient_id": str(self._doors.patient_id),
            "plan_version_id": self._plan["id"],
            **_targets(item),
        }

    def _set(self, number: int) -> dict[str, Any]:
        item = self._first_item()
        return {"plan_item": item["index"], "set_number": number, **_targets(item)}


class _SomebodyElseError(Exception):
    """A person at a page did what the scene was about to do."""


def _targets(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "exercise": item["code"],
        "side": item["side"],
        "target_low_deg": item["target_low_deg"],
        "target_high_deg": item["target_high_deg"],
        "target_repetitions": item["repetitions"],
    }
