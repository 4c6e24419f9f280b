"""Exercise quality from inertial sensors: orientation, joint angles, repetitions.

Knows no topics, clocks or databases: arrays go in, arrays come out. Support for the therapist, not a diagnosis.

The public names are looked up when they are used: who only asks which exercises there are does not load SciPy.

Examples
--------
>>> from analytics import EXERCISES
>>> EXERCISES["knee_extension_seated"].is_measurable
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = ("analytics.exercises", "analytics.results", "analytics.live", "analytics.batch")
"""Where the public names stand; those that need least come first."""


def __getattr__(name: str) -> Any:
    """Return a public name from the module that defines it."""
    if name in __all__:
        for module in map(import_module, _MODULES):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
