"""Whose a measurement is, case by case."""

import random
from uuid import UUID

import pytest

from telerehab.attribution import BootClock, Lending, StoredFit, Unattributed, find_owner, make_clocks

KAREN, BO = UUID(int=1), UUID(int=2)
LENDINGS = [Lending(KAREN, 1_000, 2_000), Lending(BO, 2_000, 3_000), Lending(BO, 5_000)]
CLOCK = BootClock(fits=(StoredFit(0, 900.0, 1.0),))


@pytest.mark.parametrize(
    ("start", "stop", "owner"),
    [
        (1_000, 2_000, KAREN),
        (1_999, 2_000, KAREN),
        (2_000, 3_000, BO),
        (5_000, 9_000_000, BO),
        (999, 1_000, Unattributed.OUTSIDE_ASSIGNMENTS),
        (3_000, 5_000, Unattributed.OUTSIDE_ASSIGNMENTS),
        (999, 1_001, Unattributed.ACROSS_BORDER),
        (1_999, 2_001, Unattributed.ACROSS_BORDER),
        (2_999, 3_001, Unattributed.ACROSS_BORDER),
        (1_000, 3_000, Unattributed.ACROSS_BORDER),
        (0, 9_000, Unattributed.ACROSS_BORDER),
        (1_000, 1_000, KAREN),
        (2_000, 2_000, BO),
        (3_000, 3_000, Unattributed.OUTSIDE_ASSIGNMENTS),
    ],
)
def test_a_measurement_is_his_who_had_the_device_for_all_of_its_time(
    start: int, stop: int, owner: UUID | Unattributed
) -> None:
    assert find_owner(start - 900, stop - 900, clock=CLOCK, lendings=LENDINGS) == owner


def test_without_a_clock_fit_nothing_is_anybodys() -> None:
    assert find_owner(0, 1, clock=None, lendings=[Lending(KAREN, 0)]) == Unattributed.NO_CLOCK_FIT


def test_it_agrees_with_asking_every_moment() -> None:
    chance = random.Random(3)
    for _ in range(500):
        cuts = sorted(chance.sample(range(40), 6))
        lendings = [Lending(chance.choice((KAREN, BO)), cuts[i], cuts[i + 1]) for i in range(0, 6, 2)]
        start = chance.randrange(40)
        stop = start + chance.randrange(1, 8)
        at = [{each for each in lendings if each.start_us <= t < (each.stop_us or 99)} for t in range(start, stop)]
        one = set.intersection(*at)
        expected: UUID | Unattributed = Unattributed.ACROSS_BORDER
        if one:
            expected = next(iter(one)).patient_id
        elif not any(at):
            expected = Unattributed.OUTSIDE_ASSIGNMENTS
        clock = BootClock(fits=(StoredFit(0, 0.0, 1.0),))
        assert find_owner(start, stop, clock=clock, lendings=lendings) == expected


def test_a_moment_is_placed_by_the_fit_that_was_made_around_it() -> None:
    minute = 60_000_000
    fits = [StoredFit(at * minute, 1_000.0 * at, 1.0) for at in (20, 1, 10)]
    clock = make_clocks(("s-1", 4, fit) for fit in fits)["s-1", 4]
    assert clock.to_server_us(0) == 1_000, "the first fit holds for what was before it"
    assert clock.to_server_us(4 * minute) == 4 * minute + 1_000
    assert clock.to_server_us(5 * minute) == 5 * minute + 10_000, "a fit looks back on ten minutes"
    assert clock.to_server_us(50 * minute) == 50 * minute + 20_000
    for device_us in (0, 7 * minute, 30 * minute):
        assert clock.to_device_us(clock.to_server_us(device_us)) == device_us
