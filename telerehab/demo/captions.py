"""What a demonstration says on the terminal: what there is to open, and what will happen."""

from telerehab.demo.care_scene import has_help_call, pause_for
from telerehab.demo.clinic import VERA_NAME


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
