"""Network namespaces of the tests' own: a machine with only `lo`, or with an address on a network."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.conftest import find_program


@contextmanager
def namespace(*, address: str | None = None) -> Iterator[Sequence[str]]:
    """Make a namespace with `lo`, and with `address` on a veth pair where given; yield the prefix of commands in it."""
    ip = find_program("ip")
    assert ip is not None
    name = f"telerehab-test-{os.getpid()}"
    prefix = (ip, "netns", "exec", name)
    _run(ip, "netns", "add", name)
    try:
        _run(*prefix, ip, "link", "set", "lo", "up")
        if address is not None:
            _run(*prefix, ip, "link", "add", "here", "type", "veth", "peer", "name", "there")
            _run(*prefix, ip, "address", "add", f"{address}/24", "dev", "here")
            _run(*prefix, ip, "link", "set", "here", "up")
            _run(*prefix, ip, "link", "set", "there", "up")
        yield prefix
    finally:
        _run(ip, "netns", "delete", name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
