"""A falling range of motion, one reading at a time: slow, obvious."""

from collections.abc import Sequence

SEM_DEG = 3.0
FACTORS = {1: 3.2, 2: 2.6, 3: 2.4, 4: 2.2}


def slow_median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def slow_range_loss(
    readings: Sequence[tuple[int, float, int, float]], *, today: int, is_standing: bool
) -> tuple[float, int] | None:
    """Return loss [°] and how many readings it stands in, from (day, range [°], repetitions, trust)."""
    usable = []
    for day, rom_deg, repetition_count, trust in readings:
        if today - day <= 28 and repetition_count >= 3 and trust >= 0.5:
            usable.append(rom_deg)
    best_share, best = 0.0, None
    for n_recent in (1, 2, 3, 4):
        earlier = usable[: len(usable) - n_recent]
        recent = usable[len(usable) - n_recent :]
        if len(usable) <= n_recent or len(earlier) < 3:
            continue
        level_deg = slow_median(earlier[:4])
        for start in range(1, len(earlier) - 3):
            level_deg = max(level_deg, slow_median(earlier[start : start + 4]))
        median_factor = 1.25
        recent_error = SEM_DEG / n_recent**0.5 * (median_factor if n_recent > 2 else 1)
        level_error = SEM_DEG * median_factor / 2
        threshold = FACTORS[n_recent] * (recent_error**2 + level_error**2) ** 0.5 + level_error
        loss = level_deg - slow_median(recent)
        if loss >= threshold * (0.5 if is_standing else 1) and loss / threshold > best_share:
            best_share, best = loss / threshold, (loss, n_recent)
    return best
