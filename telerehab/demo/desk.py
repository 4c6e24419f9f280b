"""What the demonstration's therapist has written before it begins: through the same repositories as the pages."""

import datetime as dt
from collections.abc import Sequence
from typing import Final, Literal, cast
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlmodel import Session

from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.duty import MINUTES_A_DAY
from telerehab.care.plans import PlanContent
from telerehab.care.templates import fill_template, find_template
from telerehab.db.repositories.appointments import AppointmentRepository, AppointmentWish
from telerehab.db.repositories.consents import ConsentKind, ConsentRepository, ConsentWish
from telerehab.db.repositories.duties import DutyRepository, DutyWish
from telerehab.db.repositories.goals import GoalRepository, GoalWish
from telerehab.db.repositories.helpers import HelperRepository, InvitationWish
from telerehab.db.repositories.messages import MessageRepository
from telerehab.db.repositories.plans import NewVersion, PlanRepository
from telerehab.db.tables import Organisation

TEMPLATE: Final = "knee"
APPOINTMENT_LASTS: Final = dt.timedelta(minutes=30)
HELPS_FOR: Final = dt.timedelta(days=60)


def plan_for(side: str, *, first_exercise: str, valid_from: dt.date) -> PlanContent:
    """Return the template for knees on one side, one exercise of it first."""
    content = fill_template(find_template(TEMPLATE), side=cast(Literal["left", "right"], side), valid_from=valid_from)
    ordered = sorted(content.items, key=lambda item: item.exercise != first_exercise)
    return PlanContent(items=tuple(ordered), limits=content.limits, valid_from=valid_from)


class Desk:
    """One therapist at work, in the caller's writing transaction (owner "web")."""

    def __init__(
        self, db: Session, *, organisation: Organisation, account_id: UUID, key_ring: KeyRing, now: dt.datetime
    ) -> None:
        self.db = db
        self.organisation = organisation
        self.account_id = account_id
        self.key_ring = key_ring
        self.now = now
        self.zone = ZoneInfo(organisation.time_zone)
        self._reader = Reader(
            login_id=uuid4(), role="therapist", organisation_id=organisation.id, account_id=account_id
        )

    @property
    def today(self) -> dt.date:
        """Return the organisation's day."""
        return self.now.astimezone(self.zone).date()

    def at(self, day: dt.date, *, hour: int) -> dt.datetime:
        """Return an hour of one of the organisation's days."""
        return dt.datetime.combine(day, dt.time(hour), self.zone)

    def put_on_duty(self, account_ids: Sequence[UUID]) -> None:
        """Let these people answer help calls around the clock, the first one first."""
        duties = DutyRepository(self.db, reader=self._reader, now=self.now)
        for line, account_id in enumerate(account_ids):
            for weekday in range(1, 8):
                wish = DutyWish(
                    account_id=account_id,
                    weekday=weekday,
                    from_minute=0,
                    to_minute=MINUTES_A_DAY,
                    line=line,
                    telephone=None,
                )
                duties.add(uuid4(), wish)

    def write_plan(self, patient_id: UUID, content: PlanContent, *, at: dt.datetime | None = None) -> UUID:
        """Write a patient's first plan, now or at an earlier moment; return the version's id."""
        plans = PlanRepository(self.db, reader=self._reader, now=at or self.now, key_ring=self.key_ring)
        wish = NewVersion(based_on=0, content=content, reason="Efter første undersøgelse", template=TEMPLATE)
        return plans.add(patient_id, wish).id

    def write_goal(self, patient_id: UUID, text: str) -> None:
        """Write down what the patient wants to be able to do."""
        goals = GoalRepository(self.db, reader=self._reader, now=self.now, key_ring=self.key_ring)
        goals.add(patient_id, uuid4(), GoalWish(text=text, target_on=None, measure={}, state="open"))

    def write_message(self, patient_id: UUID, text: str) -> None:
        """Send a message."""
        MessageRepository(self.db, reader=self._reader, now=self.now, key_ring=self.key_ring).put(
            patient_id, uuid4(), text
        )

    def make_appointment(self, patient_id: UUID, *, title: str, starts_in: dt.timedelta) -> None:
        """Make an appointment on the screen."""
        appointments = AppointmentRepository(self.db, reader=self._reader, now=self.now, key_ring=self.key_ring)
        starts_at = self.now + starts_in
        wish = AppointmentWish(
            kind="live_session", title=title, starts_at=starts_at, ends_at=starts_at + APPOINTMENT_LASTS
        )
        appointments.create(wish, appointment_id=uuid4(), patient_id=patient_id, group_id=None)

    def note_consent(self, patient_id: UUID, *, kind: ConsentKind) -> None:
        """Write down what the patient said yes to."""
        consents = ConsentRepository(self.db, reader=self._reader, now=self.now, key_ring=self.key_ring)
        consents.create(patient_id, uuid4(), ConsentWish(kind=kind, given_how="spoken", ends_on=None))

    def invite_helper(self, patient_id: UUID, *, name: str) -> str:
        """Invite somebody to help a patient; return the invitation's token."""
        helpers = HelperRepository(self.db, reader=self._reader, now=self.now, key_ring=self.key_ring)
        wish = InvitationWish(
            name=name,
            scopes=frozenset({"join", "see_plan", "see_results", "train_for"}),
            ends_on=self.today + HELPS_FOR,
            given_how="spoken",
        )
        return helpers.invite(patient_id, uuid4(), wish).token
