import numpy as np
import pytest

from telerehab.bench import live_tick


def test_both_sides_count_the_same_and_the_result_has_the_agreed_shape() -> None:
    result = live_tick.run(patients=20, seconds=9)
    assert result["name"] == "live-tick"
    assert result["floors"] == {}  # floors are for 1000 and 100 patients
    figures = result["figures"]
    for n_patients in (20, 2):
        for side in ("engine", "objects"):
            assert float(figures[f"{side}_{n_patients}"]["value"]) > 0
        assert int(figures[f"repetitions_{n_patients}"]["value"]) >= n_patients


def test_the_loop_that_stands_in_for_the_peer_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_tick, "vqf", None)
    figures = live_tick.run(patients=4, seconds=9)["figures"]
    assert figures["peer"]["value"] == "loop in Python"
    assert int(figures["repetitions_4"]["value"]) >= 4


def test_a_benchmark_whose_sides_disagree_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_tick, "EXPECTED_RANGE_DEG", 400.0)
    with pytest.raises(RuntimeError, match="do not count the same"):
        live_tick.run(patients=2, seconds=9)


def test_an_object_measures_the_angle() -> None:
    patient = live_tick.PatientObject()
    recording = live_tick.make_recordings(1, 8)[0]
    angles = []
    for start in range(0, 800, 10):
        patient.advance(recording[..., start : start + 10])
        angles.append(patient.angle_deg)
    angle = np.concatenate(angles)
    assert 85 < np.nanmax(angle) < 95
    assert 0 < np.nanmin(angle) < 20
