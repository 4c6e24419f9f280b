"""An MQTT broker inside one of our processes: amqtt with our accounts and access rules. For one machine and for tests.

It keeps nothing over a restart and may lose messages; nothing we promise depends on it (`docs/protocol.md` A1). It
carries about 2,000 messages a second; beyond that, Mosquitto with the same rules.
"""

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import BrokerError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from devices.broker_access import is_allowed
from devices.errors import BrokerUnavailableError, OversizeMessageError
from devices.ports import Credentials
from devices.wire import MAX_FRAME_BYTES


class EmbeddedBroker:
    """A broker that listens on one address. Give port 0 to let the system choose; `port` tells which.

    Parameters
    ----------
    host, port
        Where to listen.
    credentials
        Who may log in, and as what.
    """

    def __init__(self, host: str, port: int, *, credentials: Credentials) -> None:
        self._host, self._port = host, port
        self._credentials = credentials
        self._broker: _Broker | None = None

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return self._port

    async def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        BrokerUnavailableError
            The address cannot be listened on.
        """
        host = f"[{self._host}]" if ":" in self._host else self._host
        config = BrokerConfig(
            listeners={"default": ListenerConfig(bind=f"{host}:{self._port}")},
            plugins={f"{__name__}.AccessPlugin": {"credentials": self._credentials}},
        )
        broker = _Broker(config)
        try:
            await broker.start()
        except BrokerError as error:
            raise BrokerUnavailableError(f"cannot listen on {self._host}:{self._port}") from error
        self._broker = broker
        self._port = _port_of(broker) or self._port

    def disconnect(self, names: Collection[str]) -> None:
        """End the connections of these accounts; call it on the broker's event loop."""
        if self._broker is not None:
            self._broker.disconnect(names)

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._broker is not None:
            broker, self._broker = self._broker, None
            await broker.shutdown()


class _Broker(Broker):  # type: ignore[misc]
    """amqtt, but a client gets retained messages only of what it has subscribed to and may read.

    Without this, every client that connects is sent all retained messages that match anybody's subscription. And every
    connection is closed in the end: amqtt leaves some that it refused. A message above `MAX_FRAME_BYTES` ends its
    sender's connection before it is read (`docs/protocol.md` L1).
    """

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._subscriptions = _Subscriptions()
        self._connections: set[asyncio.Task[None]] = set()

    async def shutdown(self) -> None:
        """Stop listening, end every connection."""
        await super().shutdown()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def disconnect(self, names: Collection[str]) -> None:
        """End the connections of these accounts, as if their clients had gone."""
        for session, handler in list(self._sessions.values()):
            if session.username in names and isinstance(handler.reader, _BoundedReader):
                handler.reader.abort()

    async def _stop_handler(self, handler: BrokerProtocolHandler) -> None:
        """End one connection, however much its client sends.

        amqtt cancels the reading once and waits for its end; `asyncio.wait_for` before Python 3.12 loses a cancellation
        that comes together with data, and the broker would never stop.
        """
        if isinstance(handler.reader, _BoundedReader):
            handler.reader.end()
        await super()._stop_handler(handler)

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection to its end."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            await self.external_connected(
                _BoundedReader(reader, writer.transport), StreamWriterAdapter(writer), listener_name
            )
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        topic_filter, qos = subscription
        handler = self._get_handler(session)
        is_own = any(session is subscriber for subscriber, _ in self._subscriptions.get(topic_filter, ()))
        if handler is None or not is_own:
            return
        for topic, retained in list(self._retained_messages.items()):
            if self._matches(topic, topic_filter) and await self._topic_filtering(session, topic, Action.RECEIVE):
                await handler.mqtt_publish(topic, retained.data, min(qos, retained.qos or 0), retain=True)


class _Subscriptions(dict[str, list[tuple[Session, int]]]):
    """The subscribers by filter; going through them is safe while clients come and go.

    amqtt awaits between one subscriber and the next: without this, whoever comes or goes meanwhile costs the others
    the message.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(list(super().__iter__()))

    def items(self) -> Any:  # of a list, not of a view
        """Return a copy of all."""
        return [(topic_filter, list(subscribers)) for topic_filter, subscribers in super().items()]


class _BoundedReader(StreamReaderAdapter):  # type: ignore[misc]
    """What a client sends, as far as its parts are of a length that we take, and until we end it."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> None:
        super().__init__(reader)
        self._transport = transport
        self._is_ended = False

    def end(self) -> None:
        """Read no more: all that follows is the end of the stream."""
        self._is_ended = True

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    async def read(self, n: int = -1) -> bytes:
        """Return `n` bytes, none at the end."""
        if self._is_ended:
            return b""
        if n > MAX_FRAME_BYTES:
            self.feed_eof()
            raise OversizeMessageError
        data: bytes = await super().read(n)
        return data


class AccessPlugin(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]
    """Who may log in, and who may read and write what. amqtt makes it from its path and `Config`."""

    @dataclass
    class Config:
        """What amqtt hands to the plug-in."""

        credentials: Any = field(default=None)  # amqtt refuses a field of the Protocol's own type

    async def authenticate(self, *, session: Session) -> bool:
        """Tell whether a client may connect."""
        username, password = session.username, session.password
        if not username or not password:
            return False
        credentials: Credentials = self.config.credentials
        role = credentials.role_of(username)
        if role is None or not credentials.may_log_in(username, password):
            return False
        # amqtt publishes a last will without asking whether its client may
        return not session.will_topic or is_allowed(
            role, session.will_topic, name=username, client_id=session.client_id or "", is_writing=True
        )

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Tell whether a client may subscribe to, publish on or receive from a topic."""
        if session is None or not session.username or not topic:
            return False
        credentials: Credentials = self.config.credentials
        role = credentials.role_of(session.username)
        if role is None:
            return False
        return is_allowed(
            role,
            topic,
            name=session.username,
            client_id=session.client_id or "",
            is_writing=action == Action.PUBLISH,
        )


def _port_of(broker: Broker) -> int | None:
    for server in broker._servers.values():
        for socket in getattr(server.instance, "sockets", ()):
            return int(socket.getsockname()[1])
    return None
