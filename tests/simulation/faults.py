"""What goes wrong in one simulated course, drawn from a seed before it begins, so that a fault can be left out."""

import random
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

S: Final = 1_000_000
CHAOS_US: Final = 20 * S
FAULTS_MIN, FAULTS_MAX = 3, 9


class FaultKind(StrEnum):
    """What can go wrong."""

    DEVICE_CRASH = "device_crash"
    BROKER_CRASH = "broker_crash"
    INTAKE_CRASH = "intake_crash"
    TORN_GROUP = "torn_group"
    STORE_CRASH = "store_crash"
    COMMIT_UNKNOWN = "commit_unknown"
    DISK_FULL = "disk_full"
    DEVICE_PARTITION = "device_partition"
    INTAKE_PARTITION = "intake_partition"
    BROKER_LOSES = "broker_loses"
    BROKER_DOUBLES = "broker_doubles"
    BROKER_REORDERS = "broker_reorders"
    BROKER_CAP = "broker_cap"
    CLOCK_JUMP = "clock_jump"
    POISON = "poison"
    GARBAGE = "garbage"
    DAMAGE = "damage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: when it begins, whom it hits (counted modulo how many there are), how long and how hard."""

    at_us: int
    kind: FaultKind
    which: int
    for_us: int
    size: float

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return the fault that `as_json` wrote."""
        return cls(**(document | {"kind": FaultKind(document["kind"])}))

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the corpus file."""
        return asdict(self)

    @property
    def stop_us(self) -> int:
        """Return when it is over."""
        return self.at_us + self.for_us


def draw_faults(seed: int) -> tuple[Fault, ...]:
    """Return what goes wrong under a seed, in order of time; all of it is over when the chaos is."""
    chance = random.Random(f"faults {seed}")
    kinds = list(FaultKind)
    faults = []
    for _ in range(chance.randint(FAULTS_MIN, FAULTS_MAX)):
        at_us = chance.randrange(S, CHAOS_US - S)
        faults.append(
            Fault(
                at_us=at_us,
                kind=chance.choice(kinds),
                which=chance.randrange(8),
                for_us=min(round(10 ** chance.uniform(5.0, 7.1)), CHAOS_US - at_us),
                size=chance.random(),
            )
        )
    return tuple(sorted(faults, key=lambda fault: (fault.at_us, fault.kind)))
