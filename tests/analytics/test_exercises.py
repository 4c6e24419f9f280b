import pytest

from analytics import EXERCISES, Exercise
from analytics.exercises import expected_range_deg


def test_the_twenty_exercises_have_their_codes() -> None:
    assert list(EXERCISES) == [exercise.code for exercise in EXERCISES.values()]
    assert set(EXERCISES) == {
        *("knee_extension_seated", "heel_slide", "straight_leg_raise", "mini_squat", "sit_to_stand", "step_up"),
        *("hip_abduction_standing", "hip_extension_standing", "bridge", "heel_raise", "marching", "single_leg_stance"),
        *("trunk_flexion", "trunk_rotation_seated", "shoulder_flexion", "shoulder_abduction"),
        *("shoulder_external_rotation_band", "row_band", "elbow_flexion", "hand_to_head"),
    }


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=list(EXERCISES))
def test_every_target_lies_away_from_the_start_pose(exercise: Exercise) -> None:
    low, high = exercise.target_deg
    assert low < high
    assert abs(expected_range_deg(exercise.neutral_angle_deg, exercise.target_deg)) >= 15


def test_a_seated_knee_begins_bent_and_ends_straight() -> None:
    knee = EXERCISES["knee_extension_seated"]
    assert (knee.neutral_angle_deg, knee.target_deg) == (90, (0, 15))
    assert expected_range_deg(90, knee.target_deg) == -82.5
