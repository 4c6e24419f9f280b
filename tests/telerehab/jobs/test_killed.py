"""A job's process that is killed, for real, in the middle of its work."""

import signal
import subprocess
import sys
import textwrap

import pytest

from telerehab.db.engine import Database
from telerehab.jobs.flags import evaluate_all
from telerehab.settings import Settings
from tests.telerehab.jobs.course import begin_course

KILLED_AT = ("before the commit", "after the commit")
EVALUATE = textwrap.dedent("""
    import os, signal, sys
    from datetime import datetime
    from sqlmodel import Session
    from telerehab.db.engine import open_database
    from telerehab.jobs.flags import evaluate_all
    from telerehab.settings import Settings

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    commit = Session.commit
    def commit_and_die(db):
        if sys.argv[1] == "before the commit":
            db.flush()
        else:
            commit(db)
        die()

    Session.commit = commit_and_die
    evaluate_all(open_database(Settings()), datetime.fromisoformat(sys.argv[2]))
""")


@pytest.mark.chaos
@pytest.mark.parametrize("killed_at", KILLED_AT)
def test_killed_around_the_commit_there_is_one_flag_and_one_notice_in_the_end(
    settings: Settings, database: Database, killed_at: str
) -> None:
    course = begin_course(settings, database)
    for i, rom_deg in enumerate((96, 94, 97, 95, 96, 81, 80)):
        course.train(7 - i, rom_deg)
    process = subprocess.run(
        [sys.executable, "-c", EVALUATE, killed_at, course.now.isoformat()],
        env=settings.as_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert len(course.flags()) == len(course.notices()) == (killed_at == "after the commit")
    evaluate_all(database, course.now)
    assert len(course.flags()) == len(course.notices()) == 1
