"""The live rules for repetitions as one would write them: one patient, one sample at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(kw_only=True, slots=True)
class SlowCounter:
    """Counts with the rules of `analytics.core.segmentation`, from a pose that is already open."""

    prescribed_deg: float
    rate_hz: float = 100.0
    roms_deg: list[float] = field(default_factory=list)

    def count(self, progress_deg: Sequence[float]) -> int:
        """Return how many repetitions there are in the whole."""
        expected, base, last = self.prescribed_deg, 0.0, float(progress_deg[0])
        inside, armed = False, False
        peak = lowest = fastest = 0.0
        begun_at = 0
        for at, progress in enumerate(progress_deg):
            speed = (progress - last) * self.rate_hz
            last = progress
            still = min(max(0.06 * expected, 1.0), 5.0)
            if not inside:
                fastest = max(fastest, abs(speed))
                if abs(progress) < 0.3 * expected and speed < still:
                    armed, begun_at, fastest = True, at, abs(speed)
                    base = min(max(progress, -0.15 * expected), 0.15 * expected)
                if armed and progress > base + 0.5 * expected:
                    inside, peak, lowest = True, progress, base
                continue
            peak, lowest, fastest = max(peak, progress), min(lowest, progress), max(fastest, abs(speed))
            back_at_rest = speed > -max(0.05 * fastest, still)
            if progress < base + 0.3 * expected and back_at_rest:
                inside = False
                if at - begun_at >= 0.4 * self.rate_hz:
                    self.roms_deg.append(peak - lowest)
                    drawn = expected + 0.3 * (peak - lowest - expected)
                    expected = min(max(drawn, 0.8 * self.prescribed_deg), 1.25 * self.prescribed_deg)
        return len(self.roms_deg)
