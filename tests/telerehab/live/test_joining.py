"""Joining, leaving and coming back, over real sockets."""

from pathlib import Path

import pytest

from tests.telerehab.live.clinic import open_clinic, until

pytestmark = pytest.mark.anyio


async def test_therapist_and_patient_see_each_other_in_the_state(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        training = clinic.open_training(clinic.patient_ids[0], live_session_id=live_session)
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            assert (await therapist.ask("join", live_session))["type"] == "reply"
            assert (await patient.ask("join", live_session))["type"] == "reply"
            await until(lambda: therapist.participant("patient").get("state") == "admitted", what="patient admitted")
            assert [p["display_name"] for p in therapist.state["participants"]] == ["Mette", "Patient 0", "Patient 1"]
            assert therapist.participant("patient")["training_session"]["id"] == str(training)
            assert therapist.state["state"] == "live"
            await until(lambda: bool(patient.states))
            assert [p["display_name"] for p in patient.state["participants"]] == ["Mette", "Patient 0"]
            assert patient.state["slots"] == {
                "audio-0": patient.participant("therapist")["id"],
                "video-0": patient.participant("therapist")["id"],
            }
