"""What a reader may do with a patient: a pure decision over what one query found out.

```text
scope        in care  tablet  helper         break-glass  team manager  admin, auditor
IDENTIFY        x       x     any grant           x            x
SEE_PLAN        x       x     see_plan            x
SEE_RESULTS     x       x     see_results         x
TRAIN           x       x     train_for
JOIN            x       x     join
CONVERSE        x       x
INVITE          x       x
WRITE_CARE      x
LEND            x                                              x
ASSIGN          x                                              x
```

*In care*: a care relation in force with the therapist, with one of the therapist's teams, or with somebody whom the
therapist stands in for. Whatever is not in the table is denied, and nothing crosses from one organisation to another.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from telerehab.auth.reader import Reader


class Scope(StrEnum):
    """What somebody wants to do with a patient."""

    IDENTIFY = "identify"
    """See name and birth date."""
    SEE_PLAN = "see_plan"
    SEE_RESULTS = "see_results"
    """See training sessions, measurements, flags, alerts, answers, goals."""
    TRAIN = "train"
    """Open and close training sessions, report pain, count sets."""
    JOIN = "join"
    """Take part in the patient's live sessions."""
    CONVERSE = "converse"
    """Read and write messages, see appointments."""
    INVITE = "invite"
    """Say who may help and what the patient agreed to; read who has looked at the patient."""
    WRITE_CARE = "write_care"
    """Change plan, referral, goals, corrections; acknowledge; retract."""
    LEND = "lend"
    """Lend devices, pair and revoke tablets."""
    ASSIGN = "assign"
    """Say who treats the patient; change identity."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Standing:
    """How a reader stands to a patient now, as the database says."""

    patient_id: UUID
    organisation_id: UUID
    """The patient's."""
    is_in_care: bool = False
    has_broken_glass: bool = False
    granted: frozenset[str] = field(default_factory=frozenset)
    """A helper's scopes, of all grants in force."""
    has_grant: bool = False


_CARE: Final = frozenset(Scope)
_OWN: Final = frozenset(
    {
        Scope.IDENTIFY,
        Scope.SEE_PLAN,
        Scope.SEE_RESULTS,
        Scope.TRAIN,
        Scope.JOIN,
        Scope.CONVERSE,
        Scope.INVITE,
    }
)
_BROKEN_GLASS: Final = frozenset({Scope.IDENTIFY, Scope.SEE_PLAN, Scope.SEE_RESULTS})
_MANAGES: Final = frozenset({Scope.IDENTIFY, Scope.LEND, Scope.ASSIGN})
_NONE: Final[frozenset[Scope]] = frozenset()
GRANTS: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "join": Scope.JOIN,
        "see_plan": Scope.SEE_PLAN,
        "see_results": Scope.SEE_RESULTS,
        "train_for": Scope.TRAIN,
    }
)
"""What a helper's scopes allow."""


def scopes_of(reader: Reader, standing: Standing) -> frozenset[Scope]:
    """Return all that the reader may do with the patient."""
    if reader.organisation_id != standing.organisation_id:
        return _NONE
    match reader.role:
        case "tablet":
            return _OWN if reader.patient_id == standing.patient_id else _NONE
        case "therapist":
            if standing.is_in_care:
                return _CARE
            return _BROKEN_GLASS if standing.has_broken_glass else _NONE
        case "helper":
            return _granted(standing.granted) if standing.has_grant else _NONE
        case "team_manager":
            return _MANAGES
        case _:
            return _NONE


def _granted(granted: Collection[str]) -> frozenset[Scope]:
    """Return what a helper's grants allow; a name that nobody knows allows nothing."""
    return frozenset({Scope.IDENTIFY, *(GRANTS[name] for name in granted if name in GRANTS)})
