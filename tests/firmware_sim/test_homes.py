"""The homes file: what is wrong is named with its place."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.errors import HomesFileError
from firmware_sim.faults import CONDITIONS, Fault
from firmware_sim.homes import read_homes

GOOD: dict[str, Any] = {
    "homes": [
        {
            "home": "home1",
            "shard": "1a",
            "exercise": "knee_extension_seated",
            "side": "right",
            "repetitions": None,
            "start_at": None,
            "devices": [
                {"name": "t-1", "password": "secret-1", "kind": "imu6", "site": "thigh_right", "stream": "imu"},
                {"name": "s-1", "password": "secret-2", "kind": "imu6", "site": "shank_right", "stream": "imu"},
                {"name": "h-1", "password": "secret-3", "kind": "heart", "stream": "heart"},
            ],
        }
    ]
}


def read(tmp_path: Path, content: object) -> Any:
    path = tmp_path / "homes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_homes(path)


def changed(place: str, value: object) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    *way, last = place.split(".")
    target: Any = content
    for step in way:
        target = target[int(step)] if step.isdecimal() else target[step]
    if value is ...:
        del target[last]
    else:
        target[int(last) if last.isdecimal() else last] = value
    return content


def test_a_good_file_becomes_homes_with_devices(tmp_path: Path) -> None:
    (home,) = read(tmp_path, GOOD)
    assert (home.name, home.shard, home.side, home.n_repetitions) == ("home1", "1a", "right", None)
    assert [device.segment for device in home.devices] == ["thigh", "shank", ""]


@pytest.mark.parametrize(("start_at", "utc_s"), [(1_700_000_000.5, 1_700_000_000.5), ("2023-11-14T22:13:20Z", 1.7e9)])
def test_a_start_may_be_seconds_or_iso(tmp_path: Path, start_at: object, utc_s: float) -> None:
    assert read(tmp_path, changed("homes.0.start_at", start_at))[0].start_at_utc_s == utc_s


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "homes.json line 1: not JSON"),
        ([], "the file: expected an object"),
        ({}, "the file: 'homes' is missing"),
        ({"homes": []}, "the file.homes: expected a list that is not empty"),
        (changed("homes.0.home", "no space please"), "homes[0].home"),
        (changed("homes.0.shard", "7f"), "homes[0].shard"),
        (changed("homes.0.exercise", "juggling"), "homes[0].exercise: 'juggling' is no exercise"),
        (changed("homes.0.side", "both"), "homes[0].side: expected left or right"),
        (changed("homes.0.repetitions", -1), "homes[0].repetitions"),
        (changed("homes.0.repetitions", True), "homes[0].repetitions"),
        (changed("homes.0.start_at", "tomorrow"), "homes[0].start_at"),
        (changed("homes.0.start_at", ...), "homes[0]: 'start_at' is missing"),
        (changed("homes.0.condition", "gout"), "homes[0].condition: expected one of knee_replacement"),
        (changed("homes.0.condition", ["stroke"]), "homes[0].condition: expected one of knee_replacement"),
        (changed("homes.0.faults", ["tremor"]), "homes[0].faults: expected an object"),
        (changed("homes.0.faults", {"hurry": 1}), "homes[0].faults: 'hurry' is no fault; one of reduced_range"),
        (changed("homes.0.faults", {"tremor": 1.1}), "homes[0].faults.tremor: expected a number from 0 to 1, not 1.1"),
        (changed("homes.0.faults", {"tremor": True}), "homes[0].faults.tremor: expected a number from 0 to 1"),
        (changed("homes.0.devices", []), "homes[0].devices"),
        (changed("homes.0.devices.1", 7), "homes[0].devices[1]: expected an object"),
        (changed("homes.0.devices.1.kind", "camera"), "homes[0].devices[1].kind"),
        (changed("homes.0.devices.1.name", "Shank/1"), "homes[0].devices[1].name"),
        (changed("homes.0.devices.1.site", "nose"), "homes[0].devices[1].site"),
        (changed("homes.0.devices.1.site", ...), "homes[0].devices[1]: 'site' is missing"),
        (changed("homes.0.devices.1.password", ...), "homes[0].devices[1]: 'password' is missing"),
        (changed("homes.0.devices.1.stream", "Imu"), "homes[0].devices[1].stream"),
        (changed("homes.0.devices.1.name", "t-1"), "the name 't-1' is used more than once"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_without_a_password(
    tmp_path: Path, content: object, named: str
) -> None:
    with pytest.raises(HomesFileError) as refusal:
        read(tmp_path, content)
    assert named in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_home_has_the_faults_of_its_condition_and_its_own_over_them(tmp_path: Path) -> None:
    content = changed("homes.0.condition", "stroke")
    content["homes"][0]["faults"] = {"asymmetry": 0, "tremor": 1}
    (home,) = read(tmp_path, content)
    assert home.faults == {**CONDITIONS["stroke"], Fault.ASYMMETRY: 0.0, Fault.TREMOR: 1.0}
    assert read(tmp_path, GOOD)[0].faults == {}


def test_an_absent_file_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(HomesFileError, match=r"homes\.json cannot be read"):
        read_homes(tmp_path / "homes.json")


def test_a_password_does_not_show_where_a_device_is_printed(tmp_path: Path) -> None:
    assert "secret" not in repr(read(tmp_path, GOOD))
