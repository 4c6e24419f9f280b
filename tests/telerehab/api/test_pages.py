from pathlib import Path

from telerehab.web.pages import PAGES, missing_pages
from tests.telerehab.api.world import World


def _where(world: World, link: str | None, path: str) -> str:
    browser = world.client if link is None else world.logged_in(link)
    answer = browser.get(path, follow_redirects=False)
    return str(answer.headers["location"]) if answer.status_code == 303 else answer.text


def test_everybody_is_sent_to_the_page_that_is_theirs(sqlite_world: World) -> None:
    world = sqlite_world
    for path in ("/", "/therapist", "/patient"):
        assert _where(world, None, path) == "/enter"
    assert "enter.html" in _where(world, None, "/enter")
    therapist = world.logged_in(world.here.therapist_link)
    assert therapist.get("/").url.path == "/therapist"
    assert "therapist.html" in therapist.get("/therapist").text
    assert therapist.get("/patient").url.path == "/therapist"
    tablet = world.logged_in(world.here.tablet_link)
    assert tablet.get("/").url.path == "/patient"
    assert "patient.html" in tablet.get("/patient").text
    assert tablet.get("/therapist").url.path == "/patient"


def test_assets_are_served_and_nothing_beside_them(sqlite_world: World) -> None:
    client = sqlite_world.client
    answer = client.get("/assets/main-1a2b.js")
    assert answer.text == "export {};"
    assert answer.headers["content-type"].startswith("text/javascript")
    for path in ("/assets/../therapist.html", "/assets/%2e%2e/therapist.html", "/assets/", "/therapist.html"):
        assert client.get(path).status_code == 404, path


def test_a_missing_build_is_one_plain_sentence(sqlite_world: World, static_folder: Path) -> None:
    assert missing_pages(static_folder) == []
    elsewhere = static_folder.rename(static_folder.with_name("elsewhere"))
    try:
        assert missing_pages(static_folder) == list(PAGES)
        answer = sqlite_world.client.get("/enter")
        assert answer.status_code == 503
        assert answer.text.startswith("The pages of telerehab have not been built: run `make install`")
        assert sqlite_world.client.get("/assets/main-1a2b.js").status_code == 404
    finally:
        elsewhere.rename(static_folder)
