"""What a demonstration says on the terminal: what there is to open, and what will happen."""

from collections.abc import Sequence
from typing import NamedTuple

from telerehab.demo.care_scene import has_help_call, pause_for
from telerehab.demo.clinic import VERA_NAME
from telerehab.demo.intake_scene import IntakeKill, kill_at


def scene_caption(homes: int) -> str:
    """Say what there is to see.

    Examples
    --------
    >>> scene_caption(1)
    'Scene: one home trains a seated knee extension; the therapist sees how well. Ctrl-C ends it.'
    """
    who, how = ("one home trains", "how well") if homes == 1 else (f"{homes} homes train", "how well each one moves")
    return f"Scene: {who} a seated knee extension; the therapist sees {how}. Ctrl-C ends it."


def care_caption(planned_s: float | None) -> list[str]:
    """Say what to open for the care scene and what will happen.

    Examples
    --------
    >>> for line in care_caption(60):
    ...     print(line)
    Care: Vera Lind trains alone, on a tablet without sensors. Open the therapist's page and watch the top of it:
      at once    she reports pain 8: her tablet stops, the alert stands on the page, and is acknowledged for you;
      then       she calls for help, nobody answers for 30 s, and her tablet is told to telephone.
      The caseload shows who loses range of motion and who stays away. Nothing is to be done; the scene plays itself.
    """
    pause_s = pause_for(planned_s)
    soon = f"in {pause_s:.0f} s" if pause_s >= 1 else "at once"
    help_call = (
        "she calls for help, nobody answers for 30 s, and her tablet is told to telephone."
        if has_help_call(planned_s)
        else "nothing more: a call for help that nobody answers needs --for 60."
    )
    return [
        f"Care: {VERA_NAME} trains alone, on a tablet without sensors."
        " Open the therapist's page and watch the top of it:",
        f"  {soon:9}  she reports pain 8: her tablet stops, the alert stands on the page, and is acknowledged for you;",
        f"  {'then':9}  {help_call}",
        "  The caseload shows who loses range of motion and who stays away."
        " Nothing is to be done; the scene plays itself.",
    ]


def intake_caption(planned_s: float | None, address: str) -> list[str]:
    """Say where the button is that kills intake, and when it happens by itself.

    Examples
    --------
    >>> for line in intake_caption(300, "http://127.0.0.1:4000/x/"):
    ...     print(line)
    Kill intake: http://127.0.0.1:4000/x/ has a button for it. Screens go grey, values come back, nothing is missing.
      in 120 s   it is killed for you.
    """
    at_s = kill_at(planned_s)
    by_itself = [] if at_s is None else [f"  {f'in {at_s:.0f} s':9}  it is killed for you."]
    return [
        f"Kill intake: {address} has a button for it. Screens go grey, values come back, nothing is missing.",
        *by_itself,
    ]


class ControlLines(NamedTuple):
    """What the demonstration's own page says."""

    title: str
    text: str
    button: str
    kills: list[str]


def control_lines(kills: Sequence[IntakeKill]) -> ControlLines:
    """Return the sentences of the page with the button.

    Examples
    --------
    >>> control_lines([IntakeKill(at_s=12.0, back_after_s=8.5), IntakeKill(at_s=40.0, back_after_s=None)]).kills
    ['Killed after 12 s; values were back after 8.5 s.', 'Killed after 40 s; waiting for values.']
    """
    return ControlLines(
        title="Kill intake",
        text="The process that takes in, analyses and stores everything is killed in mid-training, as a crash would."
        " Watch the therapist's screen go grey and come back. The account at the end shows that no block is missing.",
        button="Kill intake",
        kills=[
            f"Killed after {kill.at_s:.0f} s; "
            + ("waiting for values." if kill.back_after_s is None else f"values were back after {kill.back_after_s} s.")
            for kill in kills
        ],
    )
