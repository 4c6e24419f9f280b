"""What a device has to have said before it is lent again."""

import pytest

from telerehab.care.lending import RingReport, find_hindrance

BACK = 1_000


def report(
    heard: int, told: int | None, emptied: int | None, *, online: bool = True, hole: int | None = None
) -> RingReport:
    return RingReport(heard_us=heard, kept_told_us=told, emptied_us=emptied, is_online=online, oldest_hole_us=hole)


@pytest.mark.parametrize(
    ("said", "returned_us", "hindrance"),
    [
        (None, None, None),
        (None, BACK, "device_unheard"),
        (report(900, 900, 900), BACK, "device_unheard"),
        (report(BACK, BACK, BACK), BACK, "device_unheard"),
        (report(1_100, 900, 900, online=False), BACK, "device_unheard"),  # a last will tells nothing
        (report(1_100, 900, 900), BACK, "device_unheard"),
        (report(1_100, 1_100, 900), BACK, "device_not_empty"),
        (report(1_100, 1_100, None), BACK, "device_not_empty"),
        (report(1_100, 1_100, None), None, "device_not_empty"),
        (report(1_100, 1_100, 1_100), BACK, None),
        (report(1_200, 1_200, 1_100), BACK, None),  # what it keeps now was made since
        (report(1_200, 1_200, 1_100, online=False), BACK, None),
        (report(1_100, 1_100, 1_100, hole=1_050), BACK, "device_has_holes"),
        (report(1_200, 1_200, 1_100, hole=1_150), BACK, None),
        (report(1_100, None, None), BACK, None),  # it has no memory
        (report(1_100, None, None, online=False), BACK, "device_unheard"),
        (report(900, None, None), BACK, "device_unheard"),
    ],
)
def test_only_an_empty_device_is_lent(said: RingReport | None, returned_us: int | None, hindrance: str | None) -> None:
    assert find_hindrance(said, returned_us=returned_us) == hindrance
