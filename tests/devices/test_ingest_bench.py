"""The benchmark of the drain is also a comparison: both sides must store, miss and show the same."""

import pytest

from devices.ring import Ring
from telerehab.bench.ingest import run


def test_both_sides_come_to_the_same_and_the_result_has_the_agreed_form() -> None:
    result = run(blocks=60, steps=40)
    assert result["name"] == "ingest"
    assert set(result["figures"]) >= {"arrays", "loop", "ratio"}
    fast, stock = (float(result["figures"][name]["value"]) for name in ("reader_fast", "reader_stock"))
    assert 0 < fast < stock / 2
    assert result["floors"]["ratio"]["floor"] == 2.0
    assert result["floors"]["ratio"]["met"] == (result["floors"]["ratio"]["value"] >= 2.0)


def test_a_difference_between_the_sides_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Ring.write
    monkeypatch.setattr(
        Ring, "write", lambda ring, slots, headers, rows: write(ring, slots[:-1], headers[:-1], rows[:-1])
    )
    with pytest.raises(RuntimeError, match="not come to the same"):
        run(blocks=20, steps=4)
