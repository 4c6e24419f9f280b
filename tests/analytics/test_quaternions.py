import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from analytics.core.quaternions import (
    FloatArray,
    multiply,
    rotate,
    rotate_inverse,
    shortest_rotation,
    step_quaternion,
    unit,
)

ONE, X, Y, Z = np.eye(4)
INVERTED = np.array([[1.0], [-1.0], [-1.0], [-1.0]])
values = st.floats(-10, 10, allow_subnormal=False)
vectors = arrays(np.float64, (3, 5), elements=values)
quaternions = arrays(np.float64, (4, 5), elements=values).filter(lambda q: bool(((q * q).sum(axis=0) > 0.01).all()))


@pytest.mark.parametrize(
    ("left", "right", "product"),
    [(X, Y, Z), (Y, Z, X), (Z, X, Y), (Y, X, -Z), (X, X, -ONE), (ONE, Z, Z)],
)
def test_the_product_is_hamiltons(left: FloatArray, right: FloatArray, product: FloatArray) -> None:
    np.testing.assert_array_equal(multiply(left, right), product)


def test_a_quarter_turn_about_the_vertical_takes_east_to_north() -> None:
    quarter = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    np.testing.assert_allclose(rotate(quarter, np.array([1.0, 0, 0])), [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rotate_inverse(quarter, np.array([0.0, 1, 0])), [1, 0, 0], atol=1e-15)


@given(a=quaternions, b=quaternions, c=quaternions)
def test_the_product_is_associative(a: FloatArray, b: FloatArray, c: FloatArray) -> None:
    np.testing.assert_allclose(multiply(multiply(a, b), c), multiply(a, multiply(b, c)), atol=1e-9)


@given(q=quaternions, v=vectors)
def test_turning_there_and_back_changes_nothing(q: FloatArray, v: FloatArray) -> None:
    q = unit(q)
    np.testing.assert_allclose(rotate_inverse(q, rotate(q, v)), v, atol=1e-9)
    np.testing.assert_allclose(rotate(q * INVERTED, v), rotate_inverse(q, v), atol=1e-9)


@given(u=vectors, v=vectors)
def test_the_shortest_rotation_takes_one_vector_to_the_other(u: FloatArray, v: FloatArray) -> None:
    u, v = unit(u + 20), unit(v + np.array([[20.0], [-20], [0]]))
    rotation = shortest_rotation(u, v)
    np.testing.assert_allclose(rotate(rotation, u), v, atol=1e-12)
    np.testing.assert_allclose((rotation * rotation).sum(axis=0), 1, atol=1e-12)


@given(rate_deg_s=arrays(np.float64, (3, 4), elements=st.floats(-2000, 2000)))
def test_a_step_equals_the_exact_rotation(rate_deg_s: FloatArray) -> None:
    rate = np.radians(rate_deg_s)
    x, y, z, w = Rotation.from_rotvec(rate.T / 100).as_quat().T
    np.testing.assert_allclose(step_quaternion(rate, 0.01), [w, x, y, z], atol=1e-7)
