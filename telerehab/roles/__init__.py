"""What each process of the application runs."""

from enum import StrEnum


class Role(StrEnum):
    """What one process runs; in the order in which they start."""

    BROKER = "broker"
    INGEST = "ingest"
    MEDIA = "media"
    WEB = "web"
    JOBS = "jobs"
