"""The intake behind a real broker: what is not of the protocol is counted, kept or refused, and costs no good block."""

from devices.ingest import Ingest
from devices.ports import Raw
from devices.wire import MAX_FRAME_BYTES
from tests.devices.broker_fixtures import connected, receive, until
from tests.devices.encoder import frame

TOPIC = "rt/1/00/band-1/imu"
NOW_US = 1_700_000_000_000_000


def test_bad_crc_unknown_schema_oversize_and_unknown_device_cost_no_good_block(port: int) -> None:
    intake = Ingest(known_devices=["band-1"])
    with (
        connected(port, "ingest", "rt/1/#") as ingest,
        connected(port, "band-1") as band,
        connected(port, "band-2") as unknown,
    ):
        band.publish(TOPIC, frame(0))
        band.publish(TOPIC, frame(1)[:-1] + b"\xee")
        band.publish(TOPIC, frame(2, schema=99))
        raws = receive(ingest, 3)
        unknown.publish("rt/1/00/band-2/imu", frame(0))
        raws += receive(ingest)
        unknown.publish("rt/1/00/band-2/imu", bytes(MAX_FRAME_BYTES + 1))
        until(lambda: not unknown.is_connected)
        band.publish(TOPIC, frame(3))
        raws += receive(ingest)
    raws.append(Raw(TOPIC, bytes(MAX_FRAME_BYTES + 1), NOW_US))  # of a broker that lets it through
    effects = intake.step(raws, NOW_US)
    assert [block.sequence for block in effects.blocks] == [0, 3]
    assert sorted(each.why for each in effects.quarantined) == ["crc", "schema", "too_long"]
    refused = {name: count for name, count in intake.counts.items() if name.startswith(("refused", "unknown"))}
    assert refused == {"refused_crc": 1, "refused_schema": 1, "refused_too_long": 1, "unknown_device": 1}
