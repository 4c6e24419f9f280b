"""Who may do what: a named policy for every route and channel, and functions over rows for what lies behind it.

A route declares its policy with `@declares(...)`; `enforce` (in `api/dependencies.py`) applies what is declared before
anything else runs, and `create_app` refuses to start when a route declares nothing. A policy says which *kind* of
reader may come in. Which *rows* such a reader may see is said by the functions below and asked by the repositories.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from telerehab.auth.reader import Reader, ReaderRole
from telerehab.db.tables import CareRelation, LiveSession, Patient
from telerehab.errors import NotAllowedError, NotLoggedInError

_MARK: Final = "__telerehab_policy__"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(kw_only=True, frozen=True, slots=True)
class Policy:
    """A named rule on kinds of readers."""

    name: str
    roles: frozenset[ReaderRole] | None
    """The roles that may come in; None: anybody, also without login."""

    def check(self, reader: Reader | None) -> None:
        """Let the reader in or raise.

        Raises
        ------
        NotLoggedInError
            Nobody is logged in, and somebody has to be.
        NotAllowedError
            This role may not come in.
        """
        if self.roles is None:
            return
        if reader is None:
            raise NotLoggedInError("log in first")
        if reader.role not in self.roles:
            raise NotAllowedError(f"policy {self.name}")


PUBLIC: Final = Policy(name="public", roles=None)
LOGGED_IN: Final = Policy(name="logged_in", roles=frozenset({"therapist", "admin", "tablet"}))
THERAPIST: Final = Policy(name="therapist", roles=frozenset({"therapist"}))
THERAPIST_OR_TABLET: Final = Policy(name="therapist_or_tablet", roles=frozenset({"therapist", "tablet"}))


def declares(policy: Policy) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint or WebSocket function with its policy; stands below the route's own decorator."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, policy)
        return endpoint

    return mark


def policy_of(endpoint: object) -> Policy | None:
    """Return the policy that an endpoint declares."""
    policy = getattr(endpoint, _MARK, None)
    return policy if isinstance(policy, Policy) else None


def is_in_force(relation: CareRelation, *, now: datetime) -> bool:
    """Return whether a care relation holds at a moment of `[starts_at, ends_at)`."""
    return relation.starts_at <= now and (relation.ends_at is None or now < relation.ends_at)


def may_see_patient(reader: Reader, patient: Patient, relations: Collection[CareRelation], *, now: datetime) -> bool:
    """Return whether the reader may see and train a patient.

    A tablet its own patient; a therapist whom a care relation in force names, within the same organisation.
    """
    if reader.organisation_id != patient.organisation_id:
        return False
    if reader.role == "tablet":
        return reader.patient_id == patient.id
    if reader.role == "therapist":
        return any(
            relation.account_id == reader.account_id
            and relation.patient_id == patient.id
            and is_in_force(relation, now=now)
            for relation in relations
        )
    return False


def may_see_live_session(reader: Reader, live_session: LiveSession, patient_ids: Collection[UUID]) -> bool:
    """Return whether the reader may see a live session: its therapist, and the tablets of its patients.

    `patient_ids` are the patients with a seat in it.
    """
    if reader.organisation_id != live_session.organisation_id:
        return False
    if reader.role == "tablet":
        return reader.patient_id in patient_ids
    return reader.role == "therapist" and reader.account_id == live_session.therapist_account_id
