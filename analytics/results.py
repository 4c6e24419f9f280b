"""What the analysis says about a repetition; the same row comes from live and from batch."""

from enum import IntEnum
from typing import Final

import numpy as np

ALGORITHM_VERSION: Final = 2  # changes whenever the same samples may give other numbers


class Phase(IntEnum):
    """Where a patient is in the exercise."""

    OFF = 0  # nobody has joined the slot
    WAITING_STILL = 1
    CALIBRATING = 2  # still, not yet for long enough; or finding gravity again after a gap
    READY = 3  # in the start pose, a repetition may begin
    UP = 4
    HOLD = 5
    DOWN = 6
    PAUSED_NOT_READY_POSE = 7  # nothing is counted until the start pose has been held for a moment


class Reason(IntEnum):
    """Why a value is missing or little trusted."""

    NONE = 0
    NOT_STILL = 1
    DATA_MISSING = 2
    CLIPPED = 3
    BIAS_TOO_LARGE = 4
    CALIBRATION_OLD = 5
    AXIS_UNKNOWN = 6  # the hinge axis has not been seen moving yet, or it is not one that the sensor can follow
    NOT_MEASURABLE = 7  # these sensors cannot measure the exercise: nothing is shown or counted
    NOT_START_POSE = 8  # still, but not in the pose in which the exercise begins


class Kind(IntEnum):
    """How a repetition relates to the reference."""

    UNKNOWN = 0
    AS_REFERENCE = 1
    TOO_FAST = 2
    TOO_LOW = 3
    OTHER = 4


REPETITION_DTYPE: Final = np.dtype(
    [
        ("slot", "<i4"),
        ("index", "<i4"),  # 1 for the first since the slot was joined
        ("start", "<i8"),  # samples of the slot's own clock, half-open; see `Engine.sample_clock`
        ("peak", "<i8"),
        ("stop", "<i8"),
        ("rom_deg", "<f4"),
        ("peak_angle_deg", "<f4"),
        ("up_s", "<f4"),
        ("hold_s", "<f4"),
        ("down_s", "<f4"),
        ("peak_speed_deg_s", "<f4"),
        ("sparc_up", "<f4"),  # from here NaN = not measured
        ("sparc_down", "<f4"),
        ("ldlj", "<f4"),
        ("reference_distance", "<f4"),
        ("compensation_deg", "<f4"),
        ("kind", "u1"),
        ("reason", "u1"),
        ("trust", "<f4"),
        ("trust_completeness", "<f4"),
        ("trust_clipping", "<f4"),
        ("trust_calibration", "<f4"),
        ("score", "<f4"),
        ("algorithm_version", "<u2"),
    ]
)
NOT_MEASURED_LIVE: Final = ("sparc_up", "sparc_down", "ldlj", "reference_distance", "compensation_deg", "score")
