"""The benchmark runs the simulation where there is a checkout, and says so where there is none."""

from pathlib import Path

import pytest

from telerehab.bench import simulation
from telerehab.bench.runner import unmet_floors


def test_an_installation_without_tests_says_that_it_measured_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "WORLD", tmp_path / "measure.py")
    result = simulation.run()
    assert result["figures"]["simulation"]["value"] == "skipped"
    assert result["floors"] == {}


@pytest.mark.long
def test_no_seed_fails_and_every_planted_mistake_is_found() -> None:
    result = simulation.run(seeds=5)
    assert unmet_floors(result) == []
    assert result["figures"]["seeds"]["value"] == 5
    assert len(result["floors"]) == 6
