from copy import deepcopy
from typing import Any

import pytest

from analytics.exercises import EXERCISES
from telerehab.care.figures import BONES, JOINTS, mirrored
from telerehab.care.library import (
    EXERCISE_CODES,
    SharedExercise,
    find_shared,
    newest_shared,
    read_content,
    read_library,
)
from telerehab.care.reading import read_value, write_value
from telerehab.errors import InvalidContentError
from telerehab.texts import LANGUAGES, texts_in


def _local() -> dict[str, Any]:
    """Return the content of a local exercise that is right, as JSON data."""
    said = deepcopy(write_value(find_shared("heel_slide").content))
    assert isinstance(said, dict)
    return {**said, "title": {"da": "Hælen ind på håndklæde", "en": None}}


def _faults(said: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(InvalidContentError) as caught:
        read_content(said)
    return {(fault["at"], fault["kind"]) for fault in caught.value.faults}


def test_every_exercise_code_has_shared_content() -> None:
    assert {exercise.code for exercise in read_library()} == set(EXERCISES)
    assert [exercise.code for exercise in newest_shared()] == list(EXERCISE_CODES)


@pytest.mark.parametrize("code", EXERCISE_CODES)
def test_shared_content_says_that_nobody_has_reviewed_it_and_is_translated(code: str) -> None:
    content = find_shared(code).content

    assert not content.is_clinically_reviewed
    assert 3 <= len(content.instructions.da) <= 6
    assert len(content.instructions.en) == len(content.instructions.da)
    assert any("Stop" in sentence for sentence in content.safety_notes.da) or code == "sit_to_stand"
    assert content.figure is not None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_library_has_a_text(language: str) -> None:
    texts = texts_in(language)
    contents = [exercise.content for exercise in read_library()]
    wanted = {f"exercise.{code}" for code in EXERCISE_CODES}
    wanted |= {f"equipment.{code}" for content in contents for code in content.equipment}
    wanted |= {f"start_pose.{content.start_pose}" for content in contents} | {"library.not_reviewed"}

    assert wanted <= set(texts)


@pytest.mark.parametrize("code", EXERCISE_CODES)
def test_a_shared_exercise_is_the_same_after_writing_and_reading(code: str) -> None:
    exercise = find_shared(code)

    assert read_value(SharedExercise, write_value(exercise)) == exercise


@pytest.mark.parametrize("code", EXERCISE_CODES)
def test_a_figure_is_mirrored_for_the_other_side_and_back(code: str) -> None:
    figure = find_shared(code).content.figure
    assert figure is not None

    turned = mirrored(figure)

    assert all(
        turned.poses[name][joint] == pytest.approx((1 - x, y))
        for name, pose in figure.poses.items()
        for joint, (x, y) in pose.items()
    )
    assert turned.poses.keys() == figure.poses.keys()
    assert mirrored(turned) == figure


def test_joints_stand_after_their_parents() -> None:
    assert all(JOINTS.index(parent) < JOINTS.index(joint) for joint, parent in BONES.items())


def test_an_unknown_exercise_or_version_is_named() -> None:
    with pytest.raises(InvalidContentError):
        find_shared("handstand")
    with pytest.raises(InvalidContentError):
        find_shared("bridge", 99)


def test_a_local_exercise_has_the_same_form_and_may_be_danish_only() -> None:
    said = _local()
    said["instructions"]["en"], said["safety_notes"]["en"], said["figure"] = [], [], None

    content = read_content(said)

    assert content.title is not None
    assert content.title.da == "Hælen ind på håndklæde"
    assert content.figure is None


def test_content_without_title_or_with_too_few_sentences_is_named() -> None:
    said = _local()
    said["title"] = None
    said["instructions"]["da"] = said["instructions"]["da"][:2]
    said["equipment"] = ["mat", "mat"]

    assert _faults(said) == {
        ("content.title", "title_missing"),
        ("content.instructions.da", "too_few_sentences"),
        ("content.instructions.en", "not_translated"),
        ("content.equipment", "twice"),
    }


def test_values_of_the_wrong_kind_are_named_and_an_unknown_field_is_not_repeated() -> None:
    said = _local()
    said["is_clinically_reviewed"] = "yes"
    said["Else Jensen"] = 1
    said["safety_notes"]["da"][0] = "zero\x00character"

    assert _faults(said) == {
        ("is_clinically_reviewed", "bool_type"),
        ("", "unexpected_keyword_argument"),
        ("safety_notes.da.0", "string_pattern_mismatch"),
    }


def test_a_figure_that_would_jump_stretch_or_miss_a_limb_is_named() -> None:
    said = _local()
    figure = said["figure"]
    del figure["poses"]["end"]["toe"]
    figure["poses"]["end"]["hand"] = [0.9, 0.9]
    figure["poses"]["lost"] = deepcopy(figure["poses"]["start"])
    figure["poses"]["lost"]["tail"] = [0.1, 0.1]
    figure["frames"][-1] = {"at_s": 1, "pose": "end"}
    figure["frames"][1]["pose"] = "gone"
    figure["bands"] = [{"start": "hand", "stop": "tail"}]

    assert _faults(said) == {
        ("content.figure.poses.end.toe", "joint_missing"),
        ("content.figure.poses.lost", "joint_unknown"),
        ("content.figure.frames", "pose_unknown"),
        ("content.figure.poses", "pose_unused"),
        ("content.figure.frames", "times_not_rising_from_zero"),
        ("content.figure.frames", "does_not_close"),
        ("content.figure.bands.0", "joint_unknown"),
        ("content.figure.poses", "bone_changes_length.hand"),
    }


def test_a_joint_outside_the_box_is_named() -> None:
    said = _local()
    said["figure"]["poses"]["end"]["hand"] = [1.2, 0.5]

    assert _faults(said) == {("figure.poses.end.hand.0", "less_than_equal")}
