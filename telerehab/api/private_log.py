"""Logs without people: an error's message may hold what somebody sent, its kind and place do not."""

import logging


class WithoutValues(logging.Filter):
    """Takes the messages of exceptions out of a logger's records; kind and traceback stay."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, its exception without message."""
        if record.exc_info and record.exc_info[1] is not None:
            error = without_values(record.exc_info[1])
            record.exc_info = (type(error), error, error.__traceback__)
            record.exc_text = None
        return True


def without_values(error: BaseException) -> RuntimeError:
    """Return an error of the same place that names only the kind of the given one, and of what caused it."""
    kinds = []
    cause: BaseException | None = error
    while cause is not None:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__
    return RuntimeError(" from ".join(kinds)).with_traceback(error.__traceback__)
