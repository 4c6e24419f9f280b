import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from analytics.core.joint_angles import hinge_rad, plane_of_axis, rotation_rad, tilt_rad
from analytics.core.quaternions import FloatArray

LEFT = np.array([0.0, 1.0, 0.0])
UP = np.array([0.0, 0.0, 1.0])


def seen(turned: Rotation, earth: FloatArray = UP) -> FloatArray:
    """Return a vector of the earth as a turned sensor sees it."""
    vector: FloatArray = turned.inv().apply(earth)
    return vector


def wxyz(turned: Rotation) -> FloatArray:
    x, y, z, w = turned.as_quat()
    return np.array([w, x, y, z])


@given(turn_deg=st.floats(-179, 179), heading_deg=st.floats(-180, 180))
def test_inclination_tells_the_rotation_whatever_the_heading(turn_deg: float, heading_deg: float) -> None:
    turned = Rotation.from_euler("z", heading_deg, degrees=True) * Rotation.from_rotvec(np.radians(turn_deg) * LEFT)
    rotation = rotation_rad(seen(turned), *plane_of_axis(LEFT, UP))
    assert np.degrees(rotation) == pytest.approx(turn_deg, abs=1e-6)


@given(turn_deg=st.floats(1, 179), spin_deg=st.floats(-180, 180))
def test_tilt_is_blind_to_spin_about_the_limb(turn_deg: float, spin_deg: float) -> None:
    turned = Rotation.from_rotvec(np.radians(turn_deg) * LEFT) * Rotation.from_euler("z", spin_deg, degrees=True)
    assert np.degrees(tilt_rad(seen(turned), UP)) == pytest.approx(turn_deg, abs=1e-6)


@given(flexion_deg=st.floats(-170, 170), away_deg=st.floats(-20, 20), seed=st.integers(0, 50))
def test_the_twist_of_a_hinge_is_its_angle(flexion_deg: float, away_deg: float, seed: int) -> None:
    proximal = Rotation.random(rng=seed)
    axis = np.array([0.6, 0.0, 0.8])
    across = Rotation.from_rotvec(np.radians(away_deg) * LEFT)
    distal = proximal * Rotation.from_rotvec(np.radians(flexion_deg) * axis) * across
    assert np.degrees(hinge_rad(wxyz(proximal), wxyz(distal), axis)) == pytest.approx(flexion_deg, abs=1e-6)
