"""`python -m firmware_sim`: simulated homes on a real broker.

Standard output holds one line of JSON at the end. Exit codes: 0 every block was acknowledged, 2 the call or a file is
wrong, 3 blocks stayed unacknowledged.
"""

import argparse
import ipaddress
import json
import logging
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from firmware_sim.errors import BrokerRefusedError, SimulatorError, TruthError
from firmware_sim.exercises import EXERCISE_CODES
from firmware_sim.fleet import Fleet, FleetOptions
from firmware_sim.homes import read_homes
from firmware_sim.link import LinkFaults
from firmware_sim.parts import BMI270, PARTS
from firmware_sim.replay import read_recording
from firmware_sim.sampling import SensorErrors

EXIT_OK: Final = 0
EXIT_WRONG_CALL: Final = 2
EXIT_UNACKNOWLEDGED: Final = 3

log = logging.getLogger("firmware_sim")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="simulator: %(message)s")
    stop_asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stop_asked.append(received))
    try:
        fleet = _fleet(options)
    except SimulatorError as error:
        log.error("%s", error)
        return EXIT_WRONG_CALL
    try:
        is_complete = fleet.run(is_stopped=lambda: bool(stop_asked))
        summary = fleet.summary()
    finally:
        fleet.close()
    sys.stdout.write(json.dumps(summary) + "\n")
    sys.stdout.flush()
    return EXIT_OK if is_complete else EXIT_UNACKNOWLEDGED


def broker_address(text: str, *, allow_remote: bool) -> tuple[str, int]:
    """Return host and port; refuses a broker that is not on this machine unless that is asked for.

    Raises
    ------
    BrokerRefusedError

    Examples
    --------
    >>> broker_address("127.0.0.1:1883", allow_remote=False)
    ('127.0.0.1', 1883)
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BrokerRefusedError(f"--broker: expected HOST:PORT, not {text!r}")
    if not (allow_remote or _is_loopback(host)):
        raise BrokerRefusedError(f"the broker {host} is not on this machine; --allow-remote-broker if that is meant")
    return host, int(port)


def _fleet(options: argparse.Namespace) -> Fleet:
    host, port = broker_address(options.broker, allow_remote=options.allow_remote_broker)
    homes = read_homes(options.homes)
    if options.homes.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("%s holds credentials but others may read it; its mode should be 0600", options.homes.name)
    if options.replay_exercise is not None:
        homes = tuple(
            replace(home, exercise=options.replay_exercise) if index < len(options.replay) else home
            for index, home in enumerate(homes)
        )
    recordings = [read_recording(path) for path in options.replay]
    try:
        options.truth.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TruthError(f"the folder for the truth cannot be made: {error.strerror}") from error
    return Fleet(
        homes,
        recordings=recordings,
        options=FleetOptions(
            host=host,
            port=port,
            truth=options.truth,
            seed=options.seed,
            block_samples=options.block,
            rate_hz=options.rate,
            still_s=options.still,
            seconds=options.seconds,
            drain_s=options.drain,
            faults=LinkFaults(loss=options.loss, duplicates=options.duplicates, corrupt=options.corrupt),
            errors=SensorErrors(
                part=PARTS[options.part],
                gyro_bias_deg_s=options.gyro_bias,
                has_field_bias=options.field_bias,
                warming_k=options.warming,
                misplacement_max_deg=options.misplacement,
            ),
            drift_spread_ppm=options.drift,
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m firmware_sim",
        description="Simulated homes with inertial sensors and heart-rate straps on a real broker; the truth in files.",
    )
    add = parser.add_argument
    add("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
    add("--allow-remote-broker", action="store_true", help="also a broker that is not on this machine")
    add("--homes", type=Path, required=True, metavar="FILE", help="homes and devices with their credentials (JSON)")
    add("--truth", type=Path, required=True, metavar="DIR", help="where to write what really happened")
    add("--seconds", type=_at_least_0, metavar="S", help="stop sampling after so long (default: never)")
    add(
        "--drain",
        type=_at_least_0,
        default=10.0,
        metavar="S",
        help="then wait so long for one more answer (default: 10)",
    )
    add("--seed", type=int, default=1)
    add("--rate", type=_rate, default=100.0, metavar="HZ", help="samples a second of simulated sensors (default: 100)")
    add("--block", type=_block, default=10, metavar="N", help="samples in a block at 100 Hz (default: 10)")
    add("--still", type=_at_least_0, default=6.0, metavar="S", help="length of the still start (default: 6)")
    add("--loss", type=_share, default=0.0, help="share of sent blocks that are lost")
    add("--duplicates", type=_share, default=0.0, help="share of sent blocks that arrive twice")
    add("--corrupt", type=_share, default=0.0, help="share of sent blocks that are damaged")
    add("--gyro-bias", type=_at_least_0, default=0.5, metavar="DEG_S", help="spread of the turn-on bias (default: 0.5)")
    add("--field-bias", action="store_true", help="sensors have the bias of -3 deg/s that was seen in the field")
    add("--part", choices=PARTS, default=BMI270.name, help=f"type of the sensors (default: {BMI270.name})")
    add("--warming", type=_at_least_0, default=8.0, metavar="K", help="sensors become warmer by so much (default: 8)")
    add("--misplacement", type=_at_least_0, default=8.0, metavar="DEG", help="sensors are turned by up to (default: 8)")
    add("--drift", type=_at_least_0, default=20.0, metavar="PPM", help="spread of the clocks' drift (default: 20)")
    add("--replay", type=Path, nargs="+", default=[], metavar="FILE.npz", help="recordings, worn in the first homes")
    add("--replay-exercise", choices=EXERCISE_CODES, help="what the recordings show (default: the home's exercise)")
    return parser


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _at_least_0(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise ValueError
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 10 <= value <= 400:
        raise argparse.ArgumentTypeError("expected 10 to 400 Hz")
    return value


def _block(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 500:
        raise ValueError
    return value


if __name__ == "__main__":
    sys.exit(main())
