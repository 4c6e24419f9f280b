"""Errors of the simulator.

SimulatorError
├── HomesFileError       the homes file does not say what it must: correct it
├── RecordingError       the recording cannot be replayed: choose another file or name what it lacks
├── BrokerRefusedError   the broker is not on this machine: pass the flag if that is meant
└── TruthError           the folder for the truth cannot be written: choose another
"""


class SimulatorError(Exception):
    """Something the caller can correct; the text is one plain sentence."""


class HomesFileError(SimulatorError):
    """The homes file does not say what it must."""


class RecordingError(SimulatorError):
    """The recording cannot be replayed."""


class BrokerRefusedError(SimulatorError):
    """The broker is not on this machine."""


class TruthError(SimulatorError):
    """The folder for the truth cannot be written."""
