"""What the demonstration's processes use of the machine."""

import contextlib
import time

import psutil

from telerehab.demo.report import ProcessReport


class ProcessUsage:
    """Processor time and memory of some processes between `begin` and `end`."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[psutil.Process, float]] = {}
        self._began_s = 0.0

    def begin(self, pids: dict[str, int]) -> None:
        """Start counting."""
        self._began_s = time.monotonic()
        for name, pid in pids.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                self._before[name] = (process, _cpu_s(process))

    def end(self) -> list[ProcessReport]:
        """Return what each process used that still runs."""
        elapsed_s = max(time.monotonic() - self._began_s, 1e-3)
        reports = []
        for name, (process, before_s) in self._before.items():
            with contextlib.suppress(psutil.Error):
                share = (_cpu_s(process) - before_s) / elapsed_s
                memory_mib = process.memory_info().rss / 2**20
                reports.append(ProcessReport(name=name, cpu_share=round(share, 3), memory_mib=round(memory_mib, 1)))
        return reports


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
