"""Exercise quality from inertial sensors: orientation, joint angles, repetitions.

Knows no topics, clocks or databases: arrays go in, arrays come out. Support for the therapist, not a diagnosis.
"""

from analytics.batch import analyse_session
from analytics.exercises import EXERCISES, Exercise
from analytics.live import Engine
from analytics.results import ALGORITHM_VERSION, REPETITION_DTYPE, Kind, Phase, Reason

__all__ = [
    "ALGORITHM_VERSION",
    "EXERCISES",
    "REPETITION_DTYPE",
    "Engine",
    "Exercise",
    "Kind",
    "Phase",
    "Reason",
    "analyse_session",
]
