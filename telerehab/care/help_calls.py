"""What becomes of a help call: told, escalated, answered, closed, and never lost.

```text
called --first in line--> told --next in line--> escalated --answer--> answered
                                                    |                     |
                                                    +------withdraw-----> withdrawn      any of them --close--> closed
```

Time alone tells one more person of the line every `ESCALATE_EVERY` until all are told. When nobody is in line, or
nobody has answered for `UNANSWERED_AFTER`, the tablet is told so at once, with the telephone number and 112; the call
goes on ringing. A call that was answered or withdrawn rings anew when the patient presses again. Only a member of staff
ends a call, by closing it with an outcome: neither time nor a restart does, nor the patient who takes it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from telerehab.errors import ConflictError

ESCALATE_EVERY: Final = timedelta(seconds=15)
UNANSWERED_AFTER: Final = timedelta(seconds=30)
OUTCOMES: Final = ("helped", "called_back", "not_reached", "emergency", "mistake")


class HelpCallState(StrEnum):
    """Where a help call stands."""

    CALLED = "called"
    """Nobody has been told: nobody is on duty, or it has only just come."""
    TOLD = "told"
    ESCALATED = "escalated"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    """The patient took it back; somebody still has to close it."""
    CLOSED = "closed"


class Unanswered(StrEnum):
    """Why the tablet was told to use the telephone."""

    NO_ANSWER = "no_answer"
    OUTSIDE_HOURS = "outside_hours"


@dataclass(kw_only=True, frozen=True, slots=True)
class Told:
    """Somebody was told of the call."""

    account_id: UUID
    at: datetime


@dataclass(kw_only=True, frozen=True, slots=True)
class HelpCall:
    """One call until somebody closes it."""

    called_at: datetime
    rang_at: datetime
    """When it began to ring, or rang again."""
    state: HelpCallState = HelpCallState.CALLED
    told: tuple[Told, ...] = ()
    """Since it rang."""
    unanswered: Unanswered | None = None
    """What the tablet has been told since it rang."""
    unanswered_at: datetime | None = None
    press_count: int = 1
    answered_by: UUID | None = None
    answered_at: datetime | None = None
    withdrawn_at: datetime | None = None
    closed_by: UUID | None = None
    closed_at: datetime | None = None
    outcome: str | None = None

    @property
    def is_open(self) -> bool:
        """Return whether nobody has closed it."""
        return self.state is not HelpCallState.CLOSED

    @property
    def is_ringing(self) -> bool:
        """Return whether nobody has answered it."""
        return self.state in (HelpCallState.CALLED, HelpCallState.TOLD, HelpCallState.ESCALATED)


def begin(*, now: datetime, line: Sequence[UUID]) -> HelpCall:
    """Return a new call, with what happens at once: the first in line is told, or the tablet that nobody is there."""
    return advance(HelpCall(called_at=now, rang_at=now), now=now, line=line)


def advance(call: HelpCall, *, now: datetime, line: Sequence[UUID]) -> HelpCall:
    """Return the call after what time alone does; called as often as wanted, also late, it does no step twice.

    Parameters
    ----------
    line : sequence of UUID
        Who is on duty now, the first in line first.
    """
    if not call.is_ringing:
        return call
    told = _told_by_now(call, now, line)
    changed = replace(call, told=told)
    if told:
        changed = replace(changed, state=HelpCallState.TOLD if len(told) == 1 else HelpCallState.ESCALATED)
    if call.unanswered is None:
        if not told:
            return replace(changed, unanswered=Unanswered.OUTSIDE_HOURS, unanswered_at=now)
        if now - call.rang_at >= UNANSWERED_AFTER:
            return replace(changed, unanswered=Unanswered.NO_ANSWER, unanswered_at=now)
    return changed


def press_again(call: HelpCall, *, now: datetime, line: Sequence[UUID]) -> HelpCall:
    """Return the open call after the patient has pressed again: one that was answered or withdrawn rings anew.

    Raises
    ------
    ConflictError
        The call is closed: another one begins.
    """
    if not call.is_open:
        raise ConflictError("this help call is closed", code="help_call_closed")
    pressed = replace(call, press_count=call.press_count + 1)
    if not call.is_ringing:
        pressed = replace(
            pressed,
            state=HelpCallState.CALLED,
            rang_at=now,
            told=(),
            unanswered=None,
            unanswered_at=None,
            answered_by=None,
            answered_at=None,
            withdrawn_at=None,
        )
    return advance(pressed, now=now, line=line)


def answer(call: HelpCall, *, account_id: UUID, now: datetime) -> HelpCall:
    """Return the call after somebody has taken it; the same person may say so twice.

    Raises
    ------
    ConflictError
        Somebody else has it, or it is closed.
    """
    if call.state is HelpCallState.ANSWERED and call.answered_by == account_id:
        return call
    if call.state in (HelpCallState.ANSWERED, HelpCallState.CLOSED):
        raise ConflictError("this help call is answered or closed", code="help_call_taken")
    return replace(call, state=HelpCallState.ANSWERED, answered_by=account_id, answered_at=now)


def withdraw(call: HelpCall, *, now: datetime) -> HelpCall:
    """Return the call after the patient has taken it back: it rings no more and stays open.

    Raises
    ------
    ConflictError
        It is closed.
    """
    if not call.is_open:
        raise ConflictError("this help call is closed", code="help_call_closed")
    if call.state is HelpCallState.WITHDRAWN:
        return call
    return replace(call, state=HelpCallState.WITHDRAWN, withdrawn_at=now)


def close(call: HelpCall, *, account_id: UUID, outcome: str, now: datetime) -> HelpCall:
    """Return the call after somebody has closed it, answered or not; closing twice alike changes nothing.

    Raises
    ------
    ConflictError
        It was closed otherwise.
    ValueError
        The outcome is none of `OUTCOMES`.
    """
    if outcome not in OUTCOMES:
        raise ValueError("this is no outcome of a help call")
    if not call.is_open:
        if (call.closed_by, call.outcome) == (account_id, outcome):
            return call
        raise ConflictError("this help call is closed", code="help_call_closed")
    return replace(call, state=HelpCallState.CLOSED, closed_by=account_id, closed_at=now, outcome=outcome)


def _told_by_now(call: HelpCall, now: datetime, line: Sequence[UUID]) -> tuple[Told, ...]:
    """Return who has been told by now: one person at once, one more whenever `ESCALATE_EVERY` has passed."""
    told = call.told
    first_at = told[0].at if told else now
    n_due = 1 + max(0, (now - first_at) // ESCALATE_EVERY)
    already = {each.account_id for each in told}
    waiting = [account_id for account_id in line if account_id not in already]
    return (*told, *(Told(account_id=account_id, at=now) for account_id in waiting[: max(0, n_due - len(told))]))
