"""Live values: newest wins, each screen sees its own, none slows another."""

from sessions.feature_hub import FeatureHub, Screen, Value


def value(number: int) -> Value:
    return Value(data=bytes([number]), received_ns=number, tick=number)


def numbers(screen: Screen[str]) -> dict[str, int]:
    return {key: entry.data[0] for key, entry in screen.take().items()}


def test_a_screen_that_does_not_take_keeps_the_newest_only_and_slows_no_other() -> None:
    hub: FeatureHub[str] = FeatureHub()
    woken: list[str] = []
    fast, slow = hub.add_screen(lambda: woken.append("fast")), hub.add_screen(lambda: woken.append("slow"))
    for screen in (fast, slow):
        screen.show({"anna", "bent"})
    taken = []
    for number in range(100):
        hub.put({"anna": value(number), "bent": value(number)})
        taken.append(numbers(fast))
    assert taken == [{"anna": number, "bent": number} for number in range(100)]
    assert numbers(slow) == {"anna": 99, "bent": 99}
    assert slow.skipped_count == 2 * 99
    assert fast.skipped_count == 0
    assert woken.count("fast") == 100


def test_a_screen_sees_only_what_it_may_and_nothing_at_first() -> None:
    hub: FeatureHub[str] = FeatureHub()
    woken: list[int] = []
    screen = hub.add_screen(lambda: woken.append(1))
    hub.put({"anna": value(1)})
    assert (numbers(screen), woken) == ({}, [])
    screen.show({"anna"})
    hub.put({"anna": value(2), "bent": value(2)})
    assert numbers(screen) == {"anna": 2}


def test_what_waits_of_somebody_out_of_sight_is_dropped_at_once() -> None:
    hub: FeatureHub[str] = FeatureHub()
    screen = hub.add_screen(lambda: None)
    screen.show({"anna", "bent"})
    hub.put({"anna": value(1), "bent": value(1)})
    screen.show({"bent"})
    assert numbers(screen) == {"bent": 1}


def test_a_screen_that_was_removed_gets_nothing() -> None:
    hub: FeatureHub[str] = FeatureHub()
    screen = hub.add_screen(lambda: None)
    screen.show({"anna"})
    hub.remove_screen(screen)
    hub.put({"anna": value(1)})
    assert numbers(screen) == {}
