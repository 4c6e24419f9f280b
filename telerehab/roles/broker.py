"""The role broker: amqtt on one machine, with the accounts of our devices and roles.

Where a Mosquitto runs instead, this role is left out; nothing else changes.
"""

import asyncio
import logging
import signal

from devices.embedded_broker import EmbeddedBroker
from devices.errors import BrokerUnavailableError
from telerehab.auth.device_credentials import SqlCredentials
from telerehab.clock import SystemClock
from telerehab.db.engine import open_database
from telerehab.db.migrate import is_database_at_head
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.roles.process import set_up_logging
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS, TaskSupervisor, in_thread

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serve MQTT until SIGTERM or SIGINT; return the exit code."""
    set_up_logging(settings, role="broker")
    logging.getLogger("amqtt").setLevel(logging.ERROR)  # it logs every client and topic
    logging.getLogger("transitions").setLevel(logging.ERROR)
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    """Listen, keep the accounts fresh, and say every two seconds that all is well."""
    wish_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, wish_to_end.set)
    database = open_database(settings)
    if not await in_thread(lambda: is_database_at_head(database)):
        log.error("The database has another version than this program: run `telerehab migrate`")
        return EXIT_SETTINGS
    credentials = SqlCredentials(database.main, settings)
    await in_thread(credentials.refresh)
    broker = EmbeddedBroker(settings.mqtt_host, settings.mqtt_port, credentials=credentials)
    try:
        await broker.start()
    except BrokerUnavailableError:
        log.error("Port %d of %s is in use: is another broker running?", settings.mqtt_port, settings.mqtt_host)
        return EXIT_SETTINGS
    log.info("MQTT on %s:%d", settings.mqtt_host, broker.port)
    address = f"{settings.mqtt_host}:{broker.port}"
    heartbeat = Heartbeat(database.main, role="broker", clock=SystemClock(), address=address)
    tasks = TaskSupervisor()
    tasks.start("accounts", lambda: credentials.keep_fresh(when_void=broker.disconnect))
    tasks.start("heartbeat", lambda: _keep_beating(heartbeat))
    try:
        await wish_to_end.wait()
    finally:
        await tasks.close()
        await broker.stop()
        await in_thread(heartbeat.remove)
        database.close()
    return 0


async def _keep_beating(heartbeat: Heartbeat) -> None:
    """Write the role's row, then say every two seconds that the broker runs."""
    await in_thread(heartbeat.register)
    while True:
        await asyncio.sleep(BEAT_INTERVAL_S)
        await in_thread(heartbeat.beat)
