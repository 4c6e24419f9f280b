"""The office in a real browser, against the real web role: every view accessible, and what a view does is done."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.web.inspection import Inspector, press, wait_for
from tests.web.office_clinic import OfficeClinic, serve_office

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

VIEWS = {
    "team_manager": ("patients", "import", "teams", "duties", "devices", "me"),
    "admin": ("staff", "teams", "organisation", "devices", "me"),
    "auditor": ("reviews", "log", "me"),
}
SOURCES = Path(__file__).parents[2] / "telerehab"
RECORDED = re.compile(r'(?:\baction=|_record\(|_done\(row, |_record\(\w+, |_changed\()"([a-z_]+)"')


@pytest.fixture
def clinic(tmp_path: Path, built_pages: Path) -> Iterator[OfficeClinic]:
    with serve_office(tmp_path) as served:
        yield served


def enter(open_page: Callable[..., Page], clinic: OfficeClinic, role: str) -> Page:
    page = open_page(clinic, f"/enter#{clinic.links[role]}")
    page.wait_for_url("**/office*")
    page.wait_for_selector("nav a[aria-current]")
    return page


def show(page: Page, view: str) -> None:
    page.locator(f'nav a[href="#/{view}"]').click()
    page.wait_for_selector(f'nav a[href="#/{view}"][aria-current]')
    wait_for(lambda: page.locator("main [role=status]:has-text('…')").count() == 0, page)


@pytest.mark.parametrize("role", list(VIEWS))
def test_every_view_of_the_office_is_accessible(
    open_page: Callable[..., Page], clinic: OfficeClinic, role: str
) -> None:
    page = enter(open_page, clinic, role)
    assert page.locator("nav a").count() == len(VIEWS[role]), "a role sees its own views only"
    inspector = Inspector(page, for_patients=False)
    for view in VIEWS[role]:
        show(page, view)
        inspector.look(f"{role}: {view}")
    assert inspector.wrong == []


def test_a_file_of_patients_is_tried_then_written_then_taken_back(
    open_page: Callable[..., Page], clinic: OfficeClinic, tmp_path: Path
) -> None:
    page = enter(open_page, clinic, "team_manager")
    show(page, "import")
    wrong = tmp_path / "patients.csv"
    wrong.write_bytes("navn;fødselsdato;behandler\nÅse Bæk;31-02-1940;mette@sundby.example\n".encode("windows-1252"))
    page.locator('input[type="file"]').set_input_files(wrong)
    page.wait_for_selector("table")
    assert page.locator("tbody tr").count() == 1
    assert "fødselsdato" in page.inner_text("tbody tr")
    assert page.locator("main [role=status]:has-text('Gemt')").count() == 0, "what was tried is not saved"
    assert page.locator('[data-action="write-import"]').count() == 0
    right = tmp_path / "right.csv"
    right.write_bytes("navn;fødselsdato;behandler\nÅse Bæk;01-02-1940;mette@sundby.example\n".encode("windows-1252"))
    page.locator('input[type="file"]').set_input_files(right)
    page.wait_for_selector('[data-action="write-import"]')
    press(page, "write-import")
    page.wait_for_selector('[data-action="undo-import"]')
    show(page, "patients")
    page.wait_for_selector("text=Åse Bæk")
    show(page, "import")
    press(page, "undo-import")
    wait_for(lambda: page.locator('[data-action="undo-import"]').count() == 0, page)
    show(page, "patients")
    page.wait_for_selector("text=Else Juhl")
    assert page.locator("text=Åse Bæk").count() == 0


def test_an_administrator_makes_an_account_and_its_way_in(open_page: Callable[..., Page], clinic: OfficeClinic) -> None:
    page = enter(open_page, clinic, "admin")
    show(page, "staff")
    form = page.locator("form").last
    form.locator("input").nth(0).fill("Ida Bak")
    form.locator("input").nth(1).fill("ida@sundby.example")
    press(page, "add-staff")
    page.wait_for_selector("li:has-text('Ida Bak')")
    page.locator("li:has-text('Ida Bak') [data-action='staff-link']").click()
    link = page.locator("li:has-text('Ida Bak') input[readonly]").input_value()
    newcomer = open_page(clinic, "/enter#" + link.partition("#")[2])
    newcomer.click('[data-action="setup-totp"]')  # no way past the second factor
    newcomer.locator('input[type="password"]').fill("blå cykel ved havnen")
    newcomer.locator("input.code").fill("000000")
    press(newcomer, "confirm-totp")
    newcomer.wait_for_selector("text=Koden passer ikke")
    assert newcomer.locator('input[type="password"]').count() == 0, "only the code is asked for again"
    newcomer.goto(clinic.url + "/office")
    newcomer.wait_for_url("**/enter*")


def test_a_duty_is_added_and_whoever_is_not_on_the_list_is_named_as_a_gap(
    open_page: Callable[..., Page], clinic: OfficeClinic
) -> None:
    page = enter(open_page, clinic, "team_manager")
    show(page, "duties")
    page.wait_for_selector("details summary")
    page.locator("form select").first.select_option(label="Mette Holm")
    press(page, "add-duty")
    page.wait_for_selector("th[scope=row]:has-text('Mette Holm')")
    assert page.locator("td:has-text('08:00–16:00')").count() == 1
    press(page, "end-duty")
    wait_for(lambda: page.locator("th[scope=row]").count() == 0, page)


def test_a_device_is_given_its_place_in_words_and_the_log_says_so(
    open_page: Callable[..., Page], clinic: OfficeClinic
) -> None:
    manager = enter(open_page, clinic, "team_manager")
    show(manager, "devices")
    form = manager.locator("form").last
    form.locator("input").first.fill("imu-0901")
    form.locator("select").last.select_option(label="højre lår")
    press(manager, "add-device")
    manager.wait_for_selector("li:has-text('imu-0901')")
    auditor = enter(open_page, clinic, "auditor")
    show(auditor, "log")
    auditor.wait_for_selector("td:has-text('Oprettede en sensor')")
    assert "create_device" not in auditor.inner_text("main")


def test_everything_that_the_log_records_is_said_in_words() -> None:
    texts = json.loads((SOURCES / "texts" / "da.json").read_text(encoding="utf-8"))
    recorded: set[str] = set()
    for folder in ("auth", "db/repositories"):
        for source in (SOURCES / folder).glob("*.py"):
            recorded.update(RECORDED.findall(source.read_text(encoding="utf-8")))
    assert len(recorded) > 40
    assert {each for each in recorded if f"access.{each}" not in texts} == set()
