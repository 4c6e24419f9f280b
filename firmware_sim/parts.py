"""Types of inertial sensors, as data.

Figures: Bosch BST-BMI270-DS000, TDK DS-000189 (ICM-20948), ST DS LSM6DSO, typical values. A spread is one standard
deviation, half of what the sheet gives as its limit; no part is drawn beyond that limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from firmware_sim.body import GRAVITY_M_S2


@dataclass(frozen=True, kw_only=True, slots=True)
class ImuPart:
    """Noise, offsets and ranges of one type of sensor."""

    name: str
    accel_range_g: float = 8.0
    gyro_range_deg_s: float = 2000.0
    accel_noise_ug_rthz: float
    gyro_noise_mdps_rthz: float
    accel_offset_mg: float
    gyro_offset_deg_s: float
    accel_offset_mg_k: float
    """Per kelvin."""
    gyro_offset_deg_s_k: float
    scale_error: float
    cross_axis: float
    bias_instability_deg_s: float = 0.005
    bias_instability_tau_s: float = 200.0

    @property
    def accel_scale_m_s2(self) -> float:
        """Acceleration of one count."""
        return self.accel_range_g * GRAVITY_M_S2 / 32768

    @property
    def gyro_scale_deg_s(self) -> float:
        """Rate of one count."""
        return self.gyro_range_deg_s / 32768


BMI270: Final = ImuPart(
    name="BMI270",
    accel_noise_ug_rthz=160.0,
    gyro_noise_mdps_rthz=7.0,
    accel_offset_mg=10.0,
    gyro_offset_deg_s=0.25,
    accel_offset_mg_k=0.125,
    gyro_offset_deg_s_k=0.01,
    scale_error=0.002,
    cross_axis=0.001,
)
ICM20948: Final = ImuPart(
    name="ICM-20948",
    accel_noise_ug_rthz=230.0,
    gyro_noise_mdps_rthz=15.0,
    accel_offset_mg=25.0,
    gyro_offset_deg_s=2.5,
    accel_offset_mg_k=0.40,
    gyro_offset_deg_s_k=0.025,
    scale_error=0.0025,
    cross_axis=0.01,
)
LSM6DSO: Final = ImuPart(
    name="LSM6DSO",
    accel_noise_ug_rthz=70.0,
    gyro_noise_mdps_rthz=3.8,
    accel_offset_mg=10.0,
    gyro_offset_deg_s=0.5,
    accel_offset_mg_k=0.05,
    gyro_offset_deg_s_k=0.005,
    scale_error=0.005,
    cross_axis=0.001,
)
PARTS: Final[Mapping[str, ImuPart]] = MappingProxyType({part.name: part for part in (BMI270, ICM20948, LSM6DSO)})
FIELD_BIAS_DEG_S: Final = (-3.0, 0.0, 0.0)
"""Seen in three of three BMI270 in the field (Bosch community, thread 9060); far beyond the sheet."""
