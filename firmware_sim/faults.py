"""How people move who do not move as shown: faults with a size from 0 (none) to 1, and conditions made of them.

Sizes are chosen so that 1 is as much as is seen in patients (shares and degrees in the comments). A fault draws from a
random stream of its own, so the same home moves the same with and without it, but for the fault.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from firmware_sim.exercises import Secondary


class Fault(StrEnum):
    """What may be wrong; the words of scenario files."""

    REDUCED_RANGE = "reduced_range"  # by 60 %
    FAST = "fast"  # 2.5 times as fast
    JERKY = "jerky"  # bumps of 6° at 2.5 Hz on the way
    SUBMOVEMENTS = "submovements"  # up to five in place of one, at half the speed, as after a stroke
    PAINFUL_ARC = "painful_arc"  # stops for 1.5 s in the middle of the way
    FREEZING = "freezing"  # stops for 1 to 3 s on every other way
    TREMOR = "tremor"  # 4 to 12 Hz, 20°/s
    TRUNK_LEAN = "trunk_lean"  # 25° backwards
    KNEE_VALGUS = "knee_valgus"  # 15° inwards
    HIP_HIKE = "hip_hike"  # 15°
    ARMS_USED = "arms_used"  # standing up: the trunk stays 20° more upright, the way is a third faster
    ASYMMETRY = "asymmetry"  # the other side moves by 60 % less
    FATIGUE = "fatigue"  # over twenty repetitions: 30 % less range, half as much time again
    FALSE_STARTS = "false_starts"  # before every repetition a fifth of the way and back
    ABANDONED = "abandoned"  # every other repetition ends half-way


SECONDARY_OF: Final[Mapping[Fault, Secondary]] = MappingProxyType(
    {
        Fault.TRUNK_LEAN: Secondary(coordinate="trunk_lean", low_deg=-25.0, high_deg=-25.0),
        Fault.KNEE_VALGUS: Secondary(coordinate="knee_abduction", low_deg=-15.0, high_deg=-15.0),
        Fault.HIP_HIKE: Secondary(coordinate="pelvis_list", low_deg=15.0, high_deg=15.0),
        Fault.ARMS_USED: Secondary(coordinate="trunk_lean", low_deg=-20.0, high_deg=-20.0),
    }
)
"""What goes along with the movement, at size 1."""

CONDITIONS: Final[Mapping[str, Mapping[Fault, float]]] = MappingProxyType(
    {
        "knee_replacement": {Fault.REDUCED_RANGE: 0.35, Fault.SUBMOVEMENTS: 0.2, Fault.HIP_HIKE: 0.3},
        "painful_shoulder": {Fault.PAINFUL_ARC: 0.6, Fault.TRUNK_LEAN: 0.6, Fault.REDUCED_RANGE: 0.2},
        "stroke": {Fault.SUBMOVEMENTS: 0.8, Fault.REDUCED_RANGE: 0.3, Fault.TRUNK_LEAN: 0.4, Fault.ASYMMETRY: 0.5},
        "parkinson": {Fault.TREMOR: 0.5, Fault.FREEZING: 0.4, Fault.FATIGUE: 0.8, Fault.REDUCED_RANGE: 0.2},
        "weak_standing_up": {Fault.ARMS_USED: 0.8, Fault.ASYMMETRY: 0.5, Fault.ABANDONED: 0.2},
    }
)
"""Examples of how faults come together; not clinically reviewed."""

FATIGUE_REPETITIONS: Final = 20
