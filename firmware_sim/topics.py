"""The device's own topic strings. Written out here: a test compares them with those of the server."""


def live_topic(shard: str, device: str, stream: str) -> str:
    """Return where new blocks go."""
    return f"rt/1/{shard}/{device}/{stream}"


def backfill_topic(shard: str, device: str, stream: str) -> str:
    """Return where blocks go that had to be kept."""
    return f"bf/1/{shard}/{device}/{stream}"


def meta_topic(device: str) -> str:
    """Return where the device describes itself."""
    return f"dev/1/{device}/meta"


def state_topic(device: str) -> str:
    """Return where the device tells how it is; also its last will."""
    return f"dev/1/{device}/state"


def clock_topic(device: str) -> str:
    """Return where time probes come in and answers go out."""
    return f"clk/1/{device}"


def ack_topic(device: str) -> str:
    """Return where watermarks come in."""
    return f"ack/1/{device}"


def command_topic(device: str, name: str) -> str:
    """Return where a command comes in; `#` for all."""
    return f"cmd/1/{device}/{name}"
