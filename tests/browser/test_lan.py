"""A tablet on the network trusts the demonstration's authority and takes a patient's place, with camera."""

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page

from tests.browser.chromium import chromium
from tests.browser.rooms import open_therapists_room, take_patients_place, wait_until_frames_grow
from tests.conftest import find_program
from tests.demo_process import running_demo
from tests.netns import namespace

ADDRESS = "10.99.0.1"


def trust(home: Path, authority: Path) -> None:
    """Put an authority into the certificate store that Chromium reads."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    certutil = find_program("certutil")
    assert certutil is not None
    subprocess.run([certutil, "-d", f"sql:{store}", "-N", "--empty-password"], check=True, capture_output=True)
    subprocess.run(
        [certutil, "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", "demo", "-i", str(authority)],
        check=True,
        capture_output=True,
    )


def camera_is_on(page: Page) -> bool:
    return bool(page.evaluate("isSecureContext && 'mediaDevices' in navigator"))


@pytest.mark.browser
@pytest.mark.netns
@pytest.mark.timeout(600)
@pytest.mark.skipif(find_program("certutil") is None, reason="Debian's libnss3-tools is not installed")
def test_a_tablet_on_the_network_trains_with_camera_over_https(tmp_path: Path) -> None:
    folder, home = tmp_path / "demo", tmp_path / "home"
    with (
        namespace(address=ADDRESS) as prefix,
        running_demo(folder, "--homes", "1", "--lan", ADDRESS, prefix=prefix) as demo,
    ):
        trust(home, folder / "authority.pem")
        with chromium(prefix=prefix, home=home, folder=tmp_path) as browser:
            patient, therapist = browser.new_context().new_page(), browser.new_context().new_page()
            take_patients_place(patient, demo.link("home1"))
            open_therapists_room(therapist, demo.link("therapist"))
            wait_until_frames_grow(therapist, slots=["video-0"])
            assert patient.url.startswith(f"https://{ADDRESS}:")
            assert camera_is_on(patient)
        with chromium(prefix=prefix, home=tmp_path / "stranger", folder=tmp_path) as browser:
            page = browser.new_context().new_page()
            with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                page.goto(f"https://{ADDRESS}:{demo.port}/enter")
