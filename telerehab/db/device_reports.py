"""What the hot store knows of devices that somebody wants to lend: what they keep, and since when they do not."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from telerehab.care.lending import RingReport
from telerehab.db.tables import DeviceReport, Gap
from telerehab.intake.hot_reads import table_of


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSaid:
    """The last that a device said of itself."""

    ring: RingReport
    bytes_kept: int | None
    """None where it does not say."""


def read_reports(hot: Session, devices: Collection[str]) -> dict[str, DeviceSaid]:
    """Return what each of these devices has said; one that was never heard is left out."""
    report, gap = table_of(DeviceReport).c, table_of(Gap).c
    names = list(devices)
    holes = (
        sa.select(gap.device, sa.func.min(gap.seen_at_us))
        .where(gap.device.in_(names), gap.closed_at_us.is_(None))
        .group_by(gap.device)
    )
    oldest_hole_us = {row[0]: row[1] for row in hot.connection().execute(holes)}
    statement = sa.select(
        report.device, report.state, report.received_us, report.kept_told_us, report.emptied_us
    ).where(report.device.in_(names))
    found: dict[str, DeviceSaid] = {}
    for device, state, received_us, kept_told_us, emptied_us in hot.connection().execute(statement):
        if not state:
            continue  # it has only said what it is
        bytes_kept = state.get("bytes_kept")
        found[device] = DeviceSaid(
            ring=RingReport(
                heard_us=received_us,
                kept_told_us=kept_told_us,
                emptied_us=emptied_us,
                is_online=state.get("online") is True,
                oldest_hole_us=oldest_hole_us.get(device),
            ),
            bytes_kept=bytes_kept if type(bytes_kept) is int else None,
        )
    return found
