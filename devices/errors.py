"""The errors of this package.

DeviceError
├── BrokerUnavailable   the broker could not be started (port taken, address unknown): tell the operator, end
└── NotConnected        nothing can be published now: keep what you have, try again when connected

Bad messages are not errors: they are counted and come back as values (`codec.Malformed`, `ingest.Quarantined`).
"""


class DeviceError(Exception):
    """Anything that this package raises on purpose."""


class BrokerUnavailableError(DeviceError):
    """The embedded broker could not listen."""


class NotConnectedError(DeviceError):
    """There is no connection to the broker."""
