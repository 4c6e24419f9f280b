"""The order of a stream as plain sets of numbers: slow, obvious."""


class SlowSequence:
    """What is stored, in flight, missing and lost, one number at a time."""

    def __init__(self) -> None:
        self.committed: set[int] = set()
        self.in_flight: set[int] = set()
        self.lost: set[int] = set()
        self.ever_lost: set[int] = set()  # what the watermark has passed it does not go back behind
        self.top = 0

    def receive(self, start: int, stop: int) -> set[int]:
        new = set(range(start, stop)) - self.committed - self.in_flight
        self.in_flight |= new
        self.lost -= new
        self.top = max(self.top, stop)
        return new

    def commit(self, number: int) -> None:
        self.in_flight.discard(number)
        self.committed.add(number)

    def fail(self, number: int) -> None:
        self.in_flight.discard(number)
        if number in self.ever_lost:
            self.lost.add(number)

    def lose(self, start: int, stop: int) -> None:
        self.top = max(self.top, stop)
        self.lost |= set(range(start, stop)) & self.missing()

    def commit_lost(self, start: int, stop: int) -> None:
        self.ever_lost |= self.lost & set(range(start, stop))

    def missing(self) -> set[int]:
        return set(range(self.top)) - self.committed - self.in_flight - self.lost

    def watermark(self) -> int:
        number = 0
        while number in self.committed or number in self.ever_lost:
            number += 1
        return number
