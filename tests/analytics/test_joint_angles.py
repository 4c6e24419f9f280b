import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from analytics.core.joint_angles import plane_of_axis, rotation_rad
from analytics.core.quaternions import FloatArray

LEFT = np.array([0.0, 1.0, 0.0])
UP = np.array([0.0, 0.0, 1.0])


def seen(turned: Rotation, earth: FloatArray = UP) -> FloatArray:
    """Return a vector of the earth as a turned sensor sees it."""
    vector: FloatArray = turned.inv().apply(earth)
    return vector


@given(turn_deg=st.floats(-179, 179), heading_deg=st.floats(-180, 180))
def test_inclination_tells_the_rotation_whatever_the_heading(turn_deg: float, heading_deg: float) -> None:
    turned = Rotation.from_euler("z", heading_deg, degrees=True) * Rotation.from_rotvec(np.radians(turn_deg) * LEFT)
    rotation = rotation_rad(seen(turned), *plane_of_axis(LEFT, UP))
    assert np.degrees(rotation) == pytest.approx(turn_deg, abs=1e-6)
