"""`telerehab archive`: what is wrong is found and named, segments are merged, recordings exported and analysed anew."""

import csv
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlmodel import col, select
from typer.testing import CliRunner

from analytics import batch
from analytics.results import ALGORITHM_VERSION
from telerehab.archive import commands, merge
from telerehab.archive.alignment import align
from telerehab.archive.errors import SegmentMissingError
from telerehab.archive.reader import read_stream
from telerehab.archive.reanalysis import find_stretches, list_archived, reanalyse
from telerehab.bench.archive import meta_of, pack_frames
from telerehab.bench.live_tick import make_recordings
from telerehab.cli.__main__ import app
from telerehab.clock import from_us
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import AuditEvent, Patient, Reanalysis, Segment, SegmentRun, TrainingSession, TrainingSet
from tests.telerehab.archive.clinic import DEVICE, MINUTE, OPENED, OPENED_US, STREAM, World, make_world, minute_of
from tests.telerehab.archive.frames_by_hand import BOOT, T0_US, frames_of
from tests.test_architecture import ROOT, imported_modules

SHORTER: Final = "UPDATE segment_run SET stop_sequence = 119 WHERE stop_sequence = 120"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    world = make_world(sqlite_database)
    world.lend()
    world.describe()
    return world


@pytest.fixture
def training(world: World) -> UUID:
    """Give a training session whose blocks lie in two segments, sealed and gone from the hot store."""
    training = world.train()
    _, frames = minute_of(seconds=20)
    world.store([*frames[:50], *frames[120:]])
    world.seal()
    world.store(frames[50:120])
    world.seal()
    world.forget()
    return training


def nothing(done: int, whole: int) -> None:
    """Take progress and say nothing."""


def run_verify(world: World) -> dict[str, Any]:
    return commands.run_verify(world.database.settings, nothing)


def faults(world: World) -> list[str]:
    return sorted(finding["fault"] for finding in run_verify(world)["findings"])


def rows(world: World) -> list[Segment]:
    return sorted(world.segments(), key=lambda row: row.n_blocks)


def change(world: World, statement: str) -> None:
    with writing(world.database.main, owner="jobs") as db:
        db.connection().exec_driver_sql(statement)


def test_a_sound_archive_is_said_to_be_one(world: World, training: UUID) -> None:
    found = run_verify(world)
    assert (found["is_sound"], found["segments"], found["samples"], found["findings"]) == (True, 2, 2_000, [])
    world.archive.store.write("segments/ab/left-behind.trs", b"x")
    found = run_verify(world)
    assert (found["is_sound"], found["stray_files"]) == (True, ["segments/ab/left-behind.trs"])


def _put_anothers(world: World, path: str) -> None:
    """Put another segment of the same training session, under the same key, in a segment's place."""
    (other,) = world.archive.store.paths() - {path}
    world.archive.store.write(path, world.archive.store.read(other))


def _flip(world: World, path: str) -> None:
    data = bytearray(world.archive.store.read(path))
    data[-20] ^= 1
    world.archive.store.write(path, bytes(data))


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda world, path: world.archive.store.remove(path), "missing"),
        (lambda world, path: world.archive.store.write(path, b"TRSG\x01short"), "damaged"),
        (_flip, "locked"),
        (_put_anothers, "locked"),
        (lambda world, path: change(world, f"UPDATE segment SET sha256 = 'x' WHERE path = '{path}'"), "damaged"),
        (
            lambda world, path: change(world, SHORTER),
            "other_ranges",
        ),
        (lambda world, path: change(world, f"UPDATE segment SET n_samples = 1 WHERE path = '{path}'"), "other_count"),
    ],
)
def test_what_is_wrong_is_found_and_named(
    world: World, training: UUID, harm: Callable[[World, str], None], fault: str
) -> None:
    path = rows(world)[0].path
    assert path is not None
    harm(world, path)
    assert faults(world) == [fault]
    assert not run_verify(world)["is_sound"]


def test_segments_that_hold_the_same_blocks_are_told_of_and_put_together(world: World, training: UUID) -> None:
    small, _ = rows(world)
    with writing(world.database.main, owner="jobs") as db:
        run = db.exec(select(SegmentRun).where(col(SegmentRun.start_sequence) == 0)).one()
        run.stop_sequence = 60
        db.add(run)
    assert faults(world) == ["doubled", "other_ranges"]
    with writing(world.database.main, owner="jobs") as db:
        run = db.exec(select(SegmentRun).where(col(SegmentRun.start_sequence) == 0)).one()
        run.stop_sequence = 50
        db.add(run)
    assert len(commands.run_merge(world.database.settings, nothing)["merged"]) == 1
    (merged,) = rows(world)
    assert (merged.n_blocks, merged.n_samples, merged.cleared_at is not None) == (200, 2_000, True)
    assert world.archive.store.paths() == {merged.path}
    assert run_verify(world)["is_sound"]
    read = read_stream(world.archive, training_session_id=training, device=DEVICE, stream=STREAM)
    assert read.valid.all()
    assert small.path != merged.path
    assert commands.run_merge(world.database.settings, nothing) == {"merged": []}


def test_a_merge_that_ends_before_its_commit_changes_nothing(
    world: World, training: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    before = [row.id for row in rows(world)]
    monkeypatch.setattr(merge, "_is_unchanged", die)
    with pytest.raises(KeyboardInterrupt):
        commands.run_merge(world.database.settings, nothing)
    assert [row.id for row in rows(world)] == before
    assert len(run_verify(world)["stray_files"]) == 1
    monkeypatch.setattr(merge, "_is_unchanged", lambda *_: False)  # a retraction came between
    assert commands.run_merge(world.database.settings, nothing) == {"merged": []}
    assert [row.id for row in rows(world)] == before
    assert read_stream(world.archive, training_session_id=training, device=DEVICE, stream=STREAM).valid.all()


def test_an_erased_patients_segments_are_counted_and_are_no_fault(world: World, training: UUID) -> None:
    with writing(world.database.main, owner="web") as db:
        patient = db.get_one(Patient, world.patient_id)
        patient.wrapped_key = None
        db.add(patient)
    found = run_verify(world)
    assert (found["is_sound"], found["segments"], found["erased"]) == (True, 0, 2)
    assert commands.run_merge(world.database.settings, nothing) == {"merged": []}


@pytest.mark.parametrize("form", ["npz", "csv"])
def test_an_export_holds_units_and_names_nobody_and_is_in_the_access_log(
    world: World, training: UUID, tmp_path: Path, form: Any
) -> None:
    folder = tmp_path / "out"
    done = commands.run_export(world.database.settings, training, folder, form)
    assert sorted(Path(path).name for path in done["files"]) == sorted([f"{DEVICE}.{STREAM}.{form}", "metadata.json"])
    said = json.loads((folder / "metadata.json").read_text())
    assert said["training_session"] == str(training)
    assert said["streams"][0]["channels"][3] == {"name": "gyro_x", "unit": "rad/s"}
    whole = b"".join(path.read_bytes() for path in folder.iterdir())
    assert str(world.patient_id).encode() not in whole
    read = read_stream(world.archive, training_session_id=training, device=DEVICE, stream=STREAM)
    if form == "npz":
        with np.load(folder / f"{DEVICE}.{STREAM}.npz") as file:
            assert (file["values"] == read.values).all()
            assert file["server_us"][0] == OPENED_US
    else:
        lines = list(csv.reader((folder / f"{DEVICE}.{STREAM}.csv").read_text().splitlines()))
        assert (len(lines), lines[0][2]) == (2_001, "accel_x [m/s2]")
        assert float(lines[1][4]) == pytest.approx(float(read.values[2, 0]))
    with reading(world.database.main) as db:
        (event,) = db.exec(select(AuditEvent).where(col(AuditEvent.action) == "export_recording"))
        assert event.patient_id == world.patient_id
        assert f"training_session:{training}" in event.record
    with pytest.raises(SegmentMissingError):
        commands.run_export(world.database.settings, uuid4(), folder, form)


# --- analysis anew ---


@pytest.fixture
def knee(sqlite_database: Database) -> tuple[World, UUID, Any]:
    """Give a training session of a knee with two sensors, and the counts that they made."""
    world = make_world(sqlite_database)
    recording = make_recordings(1, 20.0)[0]
    for device, site, counts in zip(("thigh-1", "shank-1"), ("thigh_right", "shank_right"), recording, strict=True):
        world.lend(device)
        change_site(world, device, site)
        world.describe(device)
        world.store(frames_of(counts.T.astype("<i2")), device=device)
    described(world)
    training = world.train(closed=OPENED + timedelta(seconds=20))
    world.seal()
    world.forget()
    return world, training, recording


def change_site(world: World, device: str, site: str) -> None:
    with writing(world.database.main, owner="web") as db:
        db.connection().exec_driver_sql("UPDATE assignment SET body_site = ? WHERE device_name = ?", (site, device))


def described(world: World) -> None:
    """Let both devices say the scales with which the recordings were made."""
    meta = json.dumps(meta_of(100.0))
    with writing(world.database.hot, owner="ingest") as db:
        db.connection().exec_driver_sql("UPDATE device_report SET meta = ?", (meta,))


def test_reanalysis_finds_what_the_same_counts_give_and_keeps_other_versions(knee: tuple[World, UUID, Any]) -> None:
    world, training, counts = knee
    assert list_archived(world.archive) == [training]
    with writing(world.database.main, owner="jobs") as db:
        older = Reanalysis(
            training_session_id=training,
            algorithm_version=ALGORITHM_VERSION - 1,
            exercise="knee_extension_seated",
            side="right",
            start_us=OPENED_US,
            stop_us=OPENED_US + 1,
            completeness=1.0,
            created_at=OPENED,
        )
        db.add(older)
    steps: list[tuple[int, int]] = []
    done = commands.run_reanalyse(world.database.settings, [], lambda *step: steps.append(step))
    expected = batch.analyse_session(
        counts,
        np.ones((2, counts.shape[2]), np.bool_),
        exercise="knee_extension_seated",
        side="right",
        accel_scale_m_s2=(8 * 9.80665 / 32768,) * 2,
        gyro_scale_rad_s=(np.radians(2000 / 32768),) * 2,
    )
    assert len(expected) >= 3
    assert (done["analysed"], done["repetitions"], steps) == (1, len(expected), [(1, 1)])
    with reading(world.database.main) as db:
        rows = db.exec(select(Reanalysis).order_by(col(Reanalysis.algorithm_version))).all()
    assert [row.algorithm_version for row in rows] == [ALGORITHM_VERSION - 1, ALGORITHM_VERSION]
    assert rows[0].repetitions == []
    assert rows[1].completeness == 1.0
    assert [each["rom_deg"] for each in rows[1].repetitions] == pytest.approx(expected["rom_deg"].tolist(), abs=0.05)
    assert [each["start_us"] for each in rows[1].repetitions] == (OPENED_US + 10_000 * expected["start"]).tolist()
    again = commands.run_reanalyse(world.database.settings, [training], nothing)
    assert (again["analysed"], again["known"]) == (0, 1)


def test_a_map_of_ones_own_does_the_work(knee: tuple[World, UUID, Any]) -> None:
    world, training, _ = knee
    calls: list[int] = []

    def pool(function: Any, items: Any) -> list[Any]:
        calls.append(len(items))
        return [function(item) for item in items]

    assert reanalyse(world.archive, [training], OPENED, progress=nothing, map=pool).analysed_count == 1
    assert calls == [1]


def test_what_cannot_be_read_or_measured_is_counted_and_the_rest_goes_on(knee: tuple[World, UUID, Any]) -> None:
    world, training, _ = knee
    lonely = world.train(opened=OPENED + MINUTE, closed=OPENED + 2 * MINUTE)
    world.store(minute_of(seconds=5, start_s=60, first=5_000)[1])
    world.seal()
    broken = next(row for row in world.segments() if row.training_session_id == training)
    assert broken.path is not None
    world.archive.store.remove(broken.path)
    done = commands.run_reanalyse(world.database.settings, [training, lonely], nothing)
    assert (done["unreadable"], done["not_measurable"], done["analysed"]) == ([str(training)], 1, 0)


def test_sets_of_one_exercise_are_one_stretch_until_the_next_exercise() -> None:
    session = TrainingSession(
        id=uuid4(), patient_id=uuid4(), exercise="heel_slide", side="left", opened_at=OPENED, opened_by=uuid4()
    )
    session.closed_at = OPENED + 9 * MINUTE
    assert [(each.exercise, each.start_us) for each in find_stretches(session, [])] == [("heel_slide", OPENED_US)]
    sets = [
        TrainingSet(
            id=uuid4(),
            training_session_id=session.id,
            number=number,
            exercise=exercise,
            side="left",
            started_at=OPENED + number * MINUTE,
        )
        for number, exercise in enumerate(["heel_slide", "heel_slide", "bridge"], start=1)
    ]
    minute_us = 60_000_000
    assert [
        (each.exercise, (each.start_us - OPENED_US) // minute_us, (each.stop_us - OPENED_US) // minute_us)
        for each in find_stretches(session, sets)
    ] == [("heel_slide", 1, 3), ("bridge", 3, 9)]


def test_a_slow_sensor_is_interpolated_to_the_grid_and_holes_stay_holes(world: World) -> None:
    training = world.train()
    line = np.arange(500, dtype="<i2")[:, None] * np.ones(6, "<i2") * 4
    frames = frames_of(line, period_us=40_000)
    world.store([*frames[:20], *frames[25:]])
    read = read_stream(world.archive, training_session_id=training, device=DEVICE, stream=STREAM)
    counts, valid = align(read, start_us=OPENED_US - 20_000, n_samples=2_003)
    assert (counts[:, 2:402] == np.arange(400)).all()
    assert not valid[:2].any()
    assert not valid[2 + 200 * 4 : 2 + 249 * 4].any()
    assert valid[2 + 250 * 4 + 1 : 2_000 - 2].all()
    assert pack_frames(line.astype(np.int16), rate_hz=25.0)[3].t0_us == 1_000_000 + 30 * 40_000
    assert read.parts[0].boot == BOOT
    assert read.device_us[0] == T0_US
    assert from_us(int(read.server_us[0])) == OPENED


# --- the command itself ---


def test_the_commands_answer_with_data_and_exit_codes(
    world: World, training: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEREHAB_DATA_DIR", str(world.database.settings.data_dir))
    runner = CliRunner()

    def run(*arguments: str) -> Any:
        return runner.invoke(app, ["archive", *arguments])

    sound = run("verify", "--json")
    assert (sound.exit_code, json.loads(sound.stdout)["segments"]) == (0, 2)
    out = run("export", str(training), str(tmp_path / "out"), "--json")
    assert (out.exit_code, len(json.loads(out.stdout)["files"])) == (0, 2)
    path = rows(world)[0].path
    assert path is not None
    world.archive.store.remove(path)
    harmed = run("verify")
    assert (harmed.exit_code, "missing" in harmed.stdout) == (1, True)
    none = run("export", str(training), str(tmp_path / "none"))
    assert (none.exit_code, none.stderr.startswith("It cannot be exported: ")) == (1, True)
    unreadable = run("reanalyse", str(training), "--json")
    assert (unreadable.exit_code, json.loads(unreadable.stdout)["unreadable"]) == (1, [str(training)])
    assert run("reanalyse", "no-id").exit_code == 2


def _reached_from(*modules: str) -> set[str]:
    """Return what is imported, straight or by way of our own modules."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = ROOT / (module.replace(".", "/") + ".py")
        path = path if path.exists() else ROOT / module.replace(".", "/") / "__init__.py"
        if path.exists():
            waiting += imported_modules(path)
    return seen


def test_roles_that_do_without_it_do_not_load_the_library_of_the_files() -> None:
    others = ("web", "ingest", "media", "broker", "__main__")
    reached = _reached_from(*(f"telerehab.roles.{role}" for role in others), "telerehab.cli.__main__")
    assert "telerehab.intake.hot_store" in reached
    assert {module for module in reached if module.split(".")[0] in ("pyarrow", "fsspec")} == set()
    assert {"pyarrow", "fsspec"} <= _reached_from("telerehab.roles.jobs")
