"""The document says what the code does: layout, golden frames, numbers of clauses."""

import re
from pathlib import Path

from devices.link_messages import MAX_LINK_BYTES, LinkFault, LinkKind
from devices.wire import HEADER_DTYPE, IRREGULAR_SCHEMAS, MAX_FRAME_BYTES, ROW_DTYPES, Schema
from tests.devices.encoder import GOLDEN_EVENT, GOLDEN_HEART, GOLDEN_IMU6

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_every_clause_has_a_number_of_its_own() -> None:
    clauses = re.findall(r"^- \*\*([A-Z]+\d+)\*\*", DOCUMENT, re.MULTILINE)
    assert len(clauses) == len(set(clauses))
    for letters in (*"FTAKMSCL", "DL"):
        numbers = [int(clause[len(letters) :]) for clause in clauses if clause.rstrip("0123456789") == letters]
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers
    cited = set(re.findall(r"\(([A-Z]+\d+)\)", DOCUMENT))
    assert cited <= set(clauses)


def test_the_device_link_of_the_document_is_that_of_the_code() -> None:
    section = DOCUMENT[DOCUMENT.index("## 9. Device link") :]
    rows = re.findall(r"^\| (\d) (\w+) \| (?:device|server|both) \|", section, re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == [(kind.value, kind.name.lower()) for kind in LinkKind]
    assert {fault.value for fault in LinkFault} <= set(re.findall(r"`(\w+)`", section))
    assert f"{MAX_LINK_BYTES:,} bytes" in section


def test_the_golden_frames_of_the_document_are_those_of_the_tests() -> None:
    table = DOCUMENT[DOCUMENT.index("**F12**") : DOCUMENT.index("## 2.")]
    frames = [
        bytes.fromhex("".join(re.findall(r"`([0-9a-f]+)`", line))) for line in table.splitlines() if "`5452" in line
    ]
    assert frames == [GOLDEN_IMU6, GOLDEN_HEART, GOLDEN_EVENT]


def test_the_header_of_the_document_is_that_of_the_code() -> None:
    table = re.findall(r"^\| (\d+) \| `(\w+)` \| u(\d+) \|", DOCUMENT, re.MULTILINE)
    wire = {"seq": "sequence", "n": "n_samples"}
    assert [(int(offset), wire.get(name, name), int(bits) // 8) for offset, name, bits in table] == [
        (HEADER_DTYPE.fields[name][1], name, HEADER_DTYPE.fields[name][0].itemsize)  # type: ignore[index]
        for name in HEADER_DTYPE.names or ()
    ]


def test_the_rows_of_the_document_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d) \| [\w ]+ \| (\d+|2 x joints) \| (.*) \|$", DOCUMENT, re.MULTILINE)
    assert [(int(number), int(size.split()[0])) for number, size, _ in rows] == [
        (schema, ROW_DTYPES[schema].itemsize) for schema in Schema
    ]
    assert {int(number) for number, _, row in rows if "delta_us" in row} == IRREGULAR_SCHEMAS
    assert f"{MAX_FRAME_BYTES:,} bytes" in DOCUMENT
