"""When a range of motion has fallen: beyond the measurement error, against the patient's own level.

**Measurement error.** The sensors are strapped on anew for every training session, by the patient, and people differ
from day to day. `SEM_DEG` is the standard error of one training session's median. Published for the knee: minimal
detectable change (95 %) 2.6 to 5.4 degrees on repeated measurement by one person and 3.7 to 10.4 between persons
(doi 10.1055/a-2321-0516), that is standard errors of 0.9 to 1.9 and 1.3 to 3.8; a sensor strapped on at home is like
another person's measurement, hence 3. Straps turned by up to 15 degrees on the rigid limbs of our simulator shift the
range by 0.3 only (functional axis): soft tissue and the day make the rest. One session must therefore differ by
1.96 * sqrt(2) * 3 = 8.3 degrees from another one to mean anything; the mean of several says more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import median
from types import MappingProxyType
from typing import Final

SEM_DEG: Final = 3.0
LOOK_BACK: Final = timedelta(days=28)
TRUST_MIN: Final = 0.5
"""Below it there is no score, and no comparison."""
REPETITIONS_MIN: Final = 3
"""A median of fewer says little."""
LEVEL_SESSIONS: Final = 4
"""The level is a median of so many training sessions in a row."""
LEVEL_SESSIONS_MIN: Final = 3
MEDIAN_FACTOR: Final = 1.25
"""A median has this much more error than a mean."""
Z: Final = (3.2, 2.6, 2.4, 2.2)
"""By how many errors one, two, three or four last training sessions together must be below the level: one alone may
be a strap that slipped. At four, which are as many as are taken together, it is about 8 degrees."""

JOINTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "knee": ("knee_extension_seated", "heel_slide", "mini_squat", "sit_to_stand", "step_up"),
        "hip": ("straight_leg_raise", "hip_abduction_standing", "hip_extension_standing", "bridge", "marching"),
        "ankle": ("heel_raise", "single_leg_stance"),
        "trunk": ("trunk_flexion", "trunk_rotation_seated"),
        "shoulder": (
            "shoulder_flexion",
            "shoulder_abduction",
            "shoulder_external_rotation_band",
            "row_band",
            "hand_to_head",
        ),
        "elbow": ("elbow_flexion",),
    }
)
"""The joint whose loss an exercise shows: what falls in all of them is one cause, not several."""


@dataclass(kw_only=True, frozen=True, slots=True)
class RangeReading:
    """The range of motion of one exercise in one training session."""

    training_session_id: str
    day: date
    exercise: str
    side: str
    rom_deg: float
    """Median over the trusted repetitions."""
    repetition_count: int
    """Trusted repetitions."""
    trust: float
    """0-1, median over all repetitions."""


@dataclass(kw_only=True, frozen=True, slots=True)
class RangeLoss:
    """A loss, and what it was found in."""

    loss_deg: float
    threshold_deg: float
    level_deg: float
    recent: tuple[RangeReading, ...]
    used: tuple[RangeReading, ...]

    @property
    def since(self) -> date:
        """Return the first recent day on which at least half of the threshold was lost."""
        limit_deg = self.level_deg - self.threshold_deg / 2
        return next((each.day for each in self.recent if each.rom_deg <= limit_deg), self.recent[-1].day)


def find_range_loss(readings: Sequence[RangeReading], *, today: date, is_standing: bool = False) -> RangeLoss | None:
    """Return the loss of range of one exercise and side, or None when there is none beyond the measurement error.

    The level is the best that the patient held: the highest median of `LEVEL_SESSIONS` training sessions in a row. The
    last one to four training sessions are held against it, each number of them with its own error; the one
    that exceeds its threshold most counts.

    Parameters
    ----------
    readings : sequence of RangeReading
        Of one exercise and side, the oldest first. Those with low trust or few repetitions are left out.
    is_standing : bool
        The loss was found before: it stands until less than half of the threshold is left.
    """
    usable = [
        each
        for each in readings
        if each.trust >= TRUST_MIN and each.repetition_count >= REPETITIONS_MIN and today - each.day <= LOOK_BACK
    ]
    best: RangeLoss | None = None
    for n_recent in range(1, min(len(Z), len(usable) - LEVEL_SESSIONS_MIN) + 1):
        earlier, recent = usable[:-n_recent], usable[-n_recent:]
        level_deg = best_level_deg([each.rom_deg for each in earlier])
        loss_deg = level_deg - median(each.rom_deg for each in recent)
        threshold_deg = loss_threshold_deg(n_recent)
        if loss_deg < threshold_deg * (0.5 if is_standing else 1.0):
            continue
        if best is None or loss_deg / threshold_deg > best.loss_deg / best.threshold_deg:
            best = RangeLoss(
                loss_deg=loss_deg,
                threshold_deg=threshold_deg,
                level_deg=level_deg,
                recent=tuple(recent),
                used=tuple(usable),
            )
    return best


def joint_of(exercise: str) -> str:
    """Return the joint of an exercise; one that is not known stands for itself."""
    return next((joint for joint, exercises in JOINTS.items() if exercise in exercises), exercise)


def best_level_deg(rom_deg: Sequence[float]) -> float:
    """Return the highest median of `LEVEL_SESSIONS` values in a row; of fewer values, their median.

    Examples
    --------
    >>> best_level_deg([90.0, 92.0, 130.0, 91.0, 93.0, 91.0])
    92.5
    """
    n_runs = max(1, len(rom_deg) - LEVEL_SESSIONS + 1)
    return max(median(rom_deg[start : start + LEVEL_SESSIONS]) for start in range(n_runs))


def loss_threshold_deg(n_recent: int) -> float:
    """Return what the median of the last sessions must be below the level by, to be no measurement error.

    The level has an error of its own, and choosing the highest makes it too high by about as much.

    Examples
    --------
    >>> [round(loss_threshold_deg(n_recent), 1) for n_recent in (1, 2, 3, 4)]
    [13.2, 9.2, 8.7, 7.7]
    """
    recent_deg = SEM_DEG * (MEDIAN_FACTOR if n_recent > 2 else 1.0) / sqrt(n_recent)
    level_deg = SEM_DEG * MEDIAN_FACTOR / sqrt(LEVEL_SESSIONS)
    return Z[n_recent - 1] * sqrt(recent_deg**2 + level_deg**2) + level_deg
