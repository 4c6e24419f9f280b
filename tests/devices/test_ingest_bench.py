"""The benchmark of the drain is also a comparison: both sides must store, miss and show the same."""

import pytest

from devices.ring import Ring
from telerehab.bench.ingest import run
from telerehab.bench.intake import loaded_intake


def test_both_sides_come_to_the_same_and_the_result_has_the_agreed_form() -> None:
    result = run(blocks=60, steps=40, seconds=0)
    assert result["name"] == "ingest"
    assert set(result["figures"]) >= {"arrays", "loop", "ratio"}
    fast, stock = (float(result["figures"][name]["value"]) for name in ("reader_fast", "reader_stock"))
    assert 0 < fast < stock / 2
    assert result["floors"]["ratio"]["floor"] == 2.5
    assert result["floors"]["ratio"]["met"] == (result["floors"]["ratio"]["value"] >= 2.5)


def test_a_difference_between_the_sides_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Ring.write
    monkeypatch.setattr(
        Ring, "write", lambda ring, slots, headers, rows: write(ring, slots[:-1], headers[:-1], rows[:-1])
    )
    with pytest.raises(RuntimeError, match="not come to the same"):
        run(blocks=20, steps=4, seconds=0)


@pytest.mark.mosquitto
def test_under_load_all_that_is_sent_is_stored_acknowledged_and_in_the_ring() -> None:
    with loaded_intake(n_devices=40, training=False) as intake:
        taken = intake.take("fast", seconds=2.0)
        paho_us = intake.take_by_stock_paho(seconds=1.0)
    assert taken.sent == taken.stored == taken.acknowledged == 40 * 20
    assert taken.seen["n_columns_with_samples"] == 40
    assert taken.cpu_us > 0
    assert paho_us > 0
