"""One training session as files that any program reads: arrays with units, and what is known of them."""

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np

from telerehab.archive.errors import ArchiveUnavailableError, SegmentMissingError
from telerehab.archive.grid import Recording
from telerehab.archive.reader import StreamName, list_streams, read_stream
from telerehab.archive.segment_rows import OWNER, Archive
from telerehab.auth.audit import record_of_system
from telerehab.db.engine import writing
from telerehab.db.tables import Patient, TrainingSession

ExportForm = Literal["npz", "csv"]
ACTION = "export_recording"


def export_training_session(
    archive: Archive, training_session_id: UUID, folder: Path, *, form: ExportForm, now: datetime
) -> list[Path]:
    """Write every stream of a training session, and `metadata.json`; return the files.

    That it was done is a link of the audit chain before the first file is written. No file names the patient.

    Raises
    ------
    SegmentMissingError
        There is no such training session, or it has no samples.
    ArchiveError
        A segment cannot be read.
    ArchiveUnavailableError
        The folder cannot be written.
    """
    streams = list_streams(archive, training_session_id)
    if not streams:
        raise SegmentMissingError(f"training session {training_session_id} is none, or has no samples")
    with writing(archive.database.main, owner=OWNER) as db:
        training = db.get_one(TrainingSession, training_session_id)
        patient = db.get_one(Patient, training.patient_id)
        record_of_system(
            db,
            action=ACTION,
            organisation_id=patient.organisation_id,
            patient_id=patient.id,
            object=f"training_session:{training_session_id}",
            now=now,
        )
    said = []
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in streams:
            recording = _read(archive, training_session_id, name)
            path = folder / f"{name.device}.{name.stream}.{form}"
            (_write_npz if form == "npz" else _write_csv)(path, recording)
            paths.append(path)
            said.append(_say(path, recording))
        about = folder / "metadata.json"
        whole = {
            "training_session": str(training_session_id),
            "exercise": training.exercise,
            "side": training.side,
            "opened_at": training.opened_at.isoformat(),
            "closed_at": None if training.closed_at is None else training.closed_at.isoformat(),
            "streams": said,
        }
        about.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ArchiveUnavailableError(f"the folder {folder} cannot be written: {error.strerror}") from error
    return [*paths, about]


def _read(archive: Archive, training_session_id: UUID, name: StreamName) -> Recording:
    return read_stream(archive, training_session_id=training_session_id, device=name.device, stream=name.stream)


def _write_npz(path: Path, recording: Recording) -> None:
    np.savez_compressed(
        path,
        values=recording.values,
        valid=recording.valid,
        server_us=recording.server_us,
        device_us=recording.device_us,
        names=np.array(recording.names),
        units=np.array(recording.units),
    )


def _write_csv(path: Path, recording: Recording) -> None:
    """Write the samples that are there, one a line."""
    head = [f"{name} [{unit}]" for name, unit in zip(recording.names, recording.units, strict=True)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["server_us", "device_us", *head])
        there = np.flatnonzero(recording.valid)
        columns = [recording.server_us[there], recording.device_us[there], *recording.values[:, there]]
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def _say(path: Path, recording: Recording) -> dict[str, Any]:
    return {
        "file": path.name,
        "device": recording.device,
        "stream": recording.stream,
        "schema": recording.schema.name.lower(),
        "channels": [{"name": name, "unit": unit} for name, unit in zip(recording.names, recording.units, strict=True)],
        "n_samples": recording.n_samples,
        "n_valid": int(recording.valid.sum()),
        "parts": [
            {"boot": part.boot, "start": part.start, "stop": part.stop, "period_us": part.period_us}
            for part in recording.parts
        ],
    }
