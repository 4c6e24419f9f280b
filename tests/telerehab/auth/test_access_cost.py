from telerehab.bench.people_access import FLOOR_US, measure_access


def test_a_check_of_access_costs_little_besides_its_query() -> None:
    figures, floors = measure_access(batches=5)
    assert floors["policy_check"]["floor"] == FLOOR_US
    assert floors["policy_check"]["met"], figures
