"""The errors of this package.

DeviceError
├── BrokerUnavailable   the broker could not be started (port taken, address unknown): tell the operator, end
├── BrokerFile          a name, path or address cannot stand in Mosquitto's files: correct what it names
├── OversizeMessage     a client sent more than a message may have: its connection ends, nothing else
└── LinkMessage         a message on a device link is none: tell the device which `fault`, count, go on

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


class LinkMessageError(DeviceError):
    """A message on a device link is none of the protocol; `fault` is one of `link_messages.LinkFault`."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault
