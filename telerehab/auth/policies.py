"""Who may do what: a named policy for every route and channel, and functions over rows for what lies behind it.

A route declares its policy with `@declares(...)`; `enforce` (in `api/dependencies.py`) applies what is declared before
anything else runs, and `create_app` refuses to start when a route declares nothing. A policy says which *kind* of
reader may come in. Which *patients* such a reader may see, and what may be done with them, is said by
`telerehab.auth.access`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from telerehab.auth.access import Scope
from telerehab.auth.reader import READER_ROLES, STAFF_ROLES, Reader, ReaderRole
from telerehab.db.tables import LiveSession
from telerehab.errors import NotAllowedError, NotLoggedInError, SecondFactorError

_MARK: Final = "__telerehab_policy__"
_SCOPE_MARK: Final = "__telerehab_scope__"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(kw_only=True, frozen=True, slots=True)
class Policy:
    """A named rule on kinds of readers."""

    name: str
    roles: frozenset[ReaderRole] | None
    """The roles that may come in; None: anybody, also without login."""
    needs_full: bool = True
    """Whether staff must have given their second factor."""

    def check(self, reader: Reader | None) -> None:
        """Let the reader in or raise.

        Raises
        ------
        NotLoggedInError
            Nobody is logged in, and somebody has to be.
        NotAllowedError
            This role may not come in.
        SecondFactorError
            The second factor is still to be given or set up.
        """
        if self.roles is None:
            return
        if reader is None:
            raise NotLoggedInError("log in first")
        if reader.role not in self.roles:
            raise NotAllowedError(f"policy {self.name}")
        if self.needs_full and not reader.is_full:
            raise SecondFactorError("give the second factor, or set one up, first")


PUBLIC: Final = Policy(name="public", roles=None)
DEVICE: Final = Policy(name="device", roles=None)
"""No browser's login counts: a device shows its own credential, in a header or in its first message."""
LOGGED_IN: Final = Policy(name="logged_in", roles=frozenset(READER_ROLES))
FIRST_FACTOR: Final = Policy(name="first_factor", roles=frozenset(READER_ROLES), needs_full=False)
"""What a login may do before its second factor: give one, set one up, say who it is, log out."""
SETTING_UP: Final = Policy(name="setting_up", roles=frozenset({*STAFF_ROLES, "helper"}), needs_full=False)
"""Setting up second factors and a password."""
ACCOUNT_OR_HELPER: Final = Policy(name="account_or_helper", roles=frozenset({*STAFF_ROLES, "helper"}))
"""Whoever has second factors."""
STAFF: Final = Policy(name="staff", roles=frozenset(STAFF_ROLES))
THERAPIST: Final = Policy(name="therapist", roles=frozenset({"therapist"}))
THERAPIST_OR_TABLET: Final = Policy(name="therapist_or_tablet", roles=frozenset({"therapist", "tablet"}))
THERAPIST_OR_MANAGER: Final = Policy(name="therapist_or_manager", roles=frozenset({"therapist", "team_manager"}))
THERAPIST_OR_AUDITOR: Final = Policy(name="therapist_or_auditor", roles=frozenset({"therapist", "auditor"}))
CARE: Final = Policy(name="care", roles=frozenset({"therapist", "tablet", "helper"}))
"""Whoever takes part in a patient's training; what exactly is said by `telerehab.auth.access`."""
TABLET: Final = Policy(name="tablet", roles=frozenset({"tablet"}))
TABLET_OR_HELPER: Final = Policy(name="tablet_or_helper", roles=frozenset({"tablet", "helper"}))
HELPER: Final = Policy(name="helper", roles=frozenset({"helper"}))
TEAM_MANAGER: Final = Policy(name="team_manager", roles=frozenset({"team_manager"}))
MANAGER_OR_ADMIN: Final = Policy(name="manager_or_admin", roles=frozenset({"team_manager", "admin"}))
THERAPIST_MANAGER_OR_ADMIN: Final = Policy(
    name="therapist_manager_or_admin", roles=frozenset({"therapist", "team_manager", "admin"})
)
ADMIN: Final = Policy(name="admin", roles=frozenset({"admin"}))
AUDITOR: Final = Policy(name="auditor", roles=frozenset({"auditor"}))


def declares(policy: Policy, *, scope: Scope | None = None) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint or WebSocket function with its policy; stands below the route's own decorator.

    Parameters
    ----------
    scope : Scope, optional
        What the endpoint does with the patient whom its path names. The gate (`PatientRepository.require`) checks it;
        standing here it can be read, and the access matrix holds the endpoint to it.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, policy)
        setattr(endpoint, _SCOPE_MARK, scope)
        return endpoint

    return mark


def policy_of(endpoint: object) -> Policy | None:
    """Return the policy that an endpoint declares."""
    policy = getattr(endpoint, _MARK, None)
    return policy if isinstance(policy, Policy) else None


def scope_of(endpoint: object) -> Scope | None:
    """Return what an endpoint declares to do with a patient."""
    scope = getattr(endpoint, _SCOPE_MARK, None)
    return scope if isinstance(scope, Scope) else None


def may_see_live_session(
    reader: Reader,
    live_session: LiveSession,
    patient_ids: Collection[UUID],
    *,
    joins: Collection[UUID] = (),
) -> bool:
    """Return whether the reader may see a live session: its therapist, its patients' tablets, and their helpers.

    `patient_ids` are the patients with a seat in it, `joins` those beside whom a helper may sit now.
    """
    if reader.organisation_id != live_session.organisation_id:
        return False
    if reader.role == "tablet":
        return reader.patient_id in patient_ids
    if reader.role == "helper":
        return not set(joins).isdisjoint(patient_ids)
    return reader.role == "therapist" and reader.account_id == live_session.therapist_account_id
