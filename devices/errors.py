"""The errors of this package.

DeviceError
├── BrokerUnavailable   the broker could not be started (port taken, address unknown): tell the operator, end
├── BrokerFile          a name, path or address cannot stand in Mosquitto's files: correct what it names
└── OversizeMessage     a client sent more than a message may have: its connection ends, nothing else

Bad messages are not errors: they are counted and come back as values (`codec.Malformed`, `ingest.Quarantined`).
"""


class DeviceError(Exception):
    """Anything that this package raises on purpose."""


class BrokerUnavailableError(DeviceError):
    """The embedded broker could not listen."""


class BrokerFileError(DeviceError):
    """Something cannot stand in Mosquitto's files."""


class OversizeMessageError(DeviceError):
    """A message is longer than the protocol allows."""
