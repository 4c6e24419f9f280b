"""Changes told over the broker, on `app/1/changed/<table>`."""

import asyncio
from typing import Final

from devices.broker_client import BrokerClient
from telerehab.clock import Clock
from telerehab.db.changes import Change, changed_message
from telerehab.settings import Settings

_TEND_INTERVAL_S: Final = 0.25
ROLE: Final = "web"


class BrokerChanges:
    """The web role's connection for announcements; where the broker is down, they are dropped."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self._clock = clock
        self._client = BrokerClient(
            settings.mqtt_host,
            settings.mqtt_port,
            username=ROLE,
            password=settings.mqtt_password(ROLE),
            subscriptions=(),
        )

    @property
    def is_connected(self) -> bool:
        """Return whether the broker has accepted us."""
        return self._client.is_connected

    def announce(self, change: Change) -> None:
        """Tell everybody who listens; nobody waits for it."""
        self._client.publish(*changed_message(change))

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        self._client.start()
        while True:
            self._client.tend(self._clock.monotonic_ns())
            self._client.take()
            await asyncio.sleep(_TEND_INTERVAL_S)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()
