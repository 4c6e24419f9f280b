"""What the faces are built from and what comes out: texts, types, weights, and no wheel without pages."""

import gzip
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

import hatch_build
from telerehab.texts import LANGUAGES, UnknownTextError, generate, text, texts_in

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / hatch_build.CLIENT
PATIENT_JS_MAX_BYTES = 60_000
THERAPIST_JS_MAX_BYTES = 150_000


def run_npm(npm: hatch_build.Npm, *arguments: str) -> None:
    """Run npm in the client's folder; its output is the test's failure."""
    done = subprocess.run(
        [*npm.command, *arguments],
        cwd=CLIENT,
        env={**os.environ, "PATH": npm.path, "CI": "true", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def packages(npm: hatch_build.Npm, built_pages: Path) -> hatch_build.Npm:
    """Return npm once the locked packages are installed."""
    if not (CLIENT / "node_modules" / "vitest").is_dir():
        run_npm(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return npm


def test_the_decisions_of_the_faces_hold_in_their_own_unit_tests(packages: hatch_build.Npm) -> None:
    run_npm(packages, "test")


def test_the_faces_are_well_typed(packages: hatch_build.Npm) -> None:
    run_npm(packages, "run", "check")


# --- texts ---


def test_the_generated_modules_are_fresh() -> None:
    for path, source in generate.modules().items():
        written = path.read_text(encoding="utf-8")
        assert written == source, f"{path.name} is old: run `python -m telerehab.texts.generate`"


def test_every_sentence_exists_in_every_language_with_the_same_values() -> None:
    danish, english = texts_in("da"), texts_in("en")
    assert danish.keys() == english.keys()
    for key, sentence in danish.items():
        assert sentence.strip(), key
        assert english[key].strip(), key
        assert generate.placeholders(sentence) == generate.placeholders(english[key]), key


def test_every_code_of_the_analysis_has_its_words() -> None:
    library = generate.library_module()
    codes = re.findall(r"^  (\w+): \{ neutralDeg", library, flags=re.MULTILINE)
    assert len(codes) == 20
    phases, reasons = (re.findall(r'"(\w+)"', line) for line in re.findall(r"= (\[.*?\]) as const", library))
    wanted = [f"exercise.{code}" for code in codes]
    wanted += [f"phase.{name}" for name in phases] + [f"reason.{name}" for name in reasons]
    for language in LANGUAGES:
        assert set(wanted) <= texts_in(language).keys()


def test_no_text_lies_unused() -> None:
    pages = "".join(
        path.read_text(encoding="utf-8")
        for path in CLIENT.rglob("*.ts*")
        if "node_modules" not in path.parts and not path.name.startswith("texts")
    )
    server = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "telerehab").rglob("*.py"))
    families = {*re.findall(r"`([a-z_.]+\.)\$\{", pages), *re.findall(r'f"([a-z_.]+\.)\{', server)}
    families |= {"language.", "cue.ready.", "cue.up."}
    used = set(re.findall(r'"([a-z_]+(?:\.\w+)+)"', pages + server))
    assert [key for key in texts_in("da") if key not in used and not key.startswith(tuple(families))] == []


def test_the_server_finds_texts_in_the_readers_language() -> None:
    assert text("patient.count.spoken_of", "en", count=7, target=10) == "7 of 10 repetitions"
    assert text("patient.count.spoken_of", "da", count=7, target=10) == "7 af 10 gentagelser"
    assert text("patient.title", "kl") == text("patient.title", "da")
    with pytest.raises(UnknownTextError):
        text("patient.no_such_text", "da")


def modules_of(entry: Path) -> set[Path]:
    """Return a module and all of ours that it imports, one way or another."""
    found, waiting = set[Path](), [entry]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        for name in re.findall(r'''(?:from|import\()\s*"(\.[^"]+)"''', module.read_text(encoding="utf-8")):
            candidates = [(module.parent / f"{name}{suffix}").resolve() for suffix in (".ts", ".tsx")]
            waiting += [candidate for candidate in candidates if candidate.is_file()]
    return found


def test_the_patients_page_carries_every_sentence_it_can_show() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in modules_of(CLIENT / "patient" / "main.tsx")
        if not path.name.startswith("texts")
    )
    used = [key for key in texts_in("da") if f'"{key}"' in sources]
    assert len(used) > 60
    assert [key for key in used if not generate.is_of_patient(key)] == []
    parts = set(re.findall(r"t\(\s*`(\w+)\.", sources))
    assert parts <= generate.PATIENT_FAMILIES


@pytest.mark.parametrize("face", [page.removesuffix(".html") for page in hatch_build.PAGES if page != "patient.html"])
def test_every_other_page_takes_in_the_other_sentences(face: str) -> None:
    texts = "sensorTexts" if face == "sensor" else "staffTexts"
    assert f"addTexts({texts});" in (CLIENT / face / "main.tsx").read_text(encoding="utf-8")


def test_the_sensors_page_carries_every_sentence_it_can_show() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in modules_of(CLIENT / "sensor" / "main.tsx")
        if not path.name.startswith("texts")
    )
    used = [key for key in texts_in("da") if f'"{key}"' in sources]
    assert len(used) > 10
    assert [key for key in used if generate.page_of(key) == "staff"] == []


# --- what is served ---


def javascript_bytes(page: Path) -> int:
    """Return the compressed size of all scripts that a page names."""
    names = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page.read_text(encoding="utf-8"))
    assert names
    return sum(len(gzip.compress((page.parent / name).read_bytes())) for name in names)


def test_the_pages_are_light(built_pages: Path) -> None:
    assert javascript_bytes(built_pages / "patient.html") <= PATIENT_JS_MAX_BYTES
    assert javascript_bytes(built_pages / "therapist.html") <= THERAPIST_JS_MAX_BYTES


@pytest.mark.parametrize("page", hatch_build.PAGES)
def test_a_page_has_no_inline_script_or_style_and_names_no_other_host(built_pages: Path, page: str) -> None:
    source = (built_pages / page).read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", source) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", source) == []
    for address in re.findall(r'(?:src|href)="([^"]+)"', source):
        assert address.startswith("/assets/")
        assert (built_pages / address[1:]).is_file()


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (CLIENT / "package-lock.json").read_text(encoding="utf-8")


# --- the hook ---


def fake_client(root: Path, *, pages: tuple[str, ...], fails: bool = False) -> hatch_build.Npm:
    """Make a source tree whose "npm" writes the given pages, and count its runs in `runs`."""
    client = root / hatch_build.CLIENT
    client.mkdir(parents=True)
    (client / "package-lock.json").write_text("{}")
    static = root / hatch_build.STATIC
    npm = root / "npm"
    writes = "".join(f'echo page > "{static}/{page}"\n' for page in pages)
    npm.write_text(f'#!/bin/sh\necho "$1" >> "{root}/runs"\nmkdir -p "{static}"\n{writes}exit {int(fails)}\n')
    npm.chmod(0o755)
    return hatch_build.Npm(command=(str(npm),), path=os.environ["PATH"])


@pytest.mark.parametrize("missing", hatch_build.PAGES)
def test_a_build_that_lacks_a_page_fails(tmp_path: Path, missing: str) -> None:
    npm = fake_client(tmp_path, pages=tuple(page for page in hatch_build.PAGES if page != missing))
    with pytest.raises(hatch_build.PagesMissingError, match=missing):
        hatch_build.build_pages(tmp_path, npm)
    assert not hatch_build.is_fresh(tmp_path)


def test_a_failing_npm_fails_the_build(tmp_path: Path) -> None:
    npm = fake_client(tmp_path, pages=hatch_build.PAGES, fails=True)
    with pytest.raises(hatch_build.PagesMissingError, match="npm ci"):
        hatch_build.build_pages(tmp_path, npm)


def test_an_unchanged_tree_is_not_built_again_and_a_changed_one_is(tmp_path: Path) -> None:
    hatch_build.build_pages(tmp_path, fake_client(tmp_path, pages=hatch_build.PAGES))
    assert (tmp_path / "runs").read_text().split() == ["ci", "run"]
    assert hatch_build.is_fresh(tmp_path)
    (tmp_path / hatch_build.CLIENT / "main.ts").write_text("// changed")
    assert not hatch_build.is_fresh(tmp_path)


def test_installed_packages_do_not_make_a_tree_look_changed(tmp_path: Path) -> None:
    hatch_build.build_pages(tmp_path, fake_client(tmp_path, pages=hatch_build.PAGES))
    folder = tmp_path / hatch_build.CLIENT / "node_modules" / "preact"
    folder.mkdir(parents=True)
    (folder / "index.js").write_text("")
    assert hatch_build.is_fresh(tmp_path)


def test_a_page_that_was_deleted_makes_the_tree_stale(tmp_path: Path) -> None:
    hatch_build.build_pages(tmp_path, fake_client(tmp_path, pages=hatch_build.PAGES))
    (tmp_path / hatch_build.STATIC / "enter.html").unlink()
    assert not hatch_build.is_fresh(tmp_path)


class QuietApp:
    """What the hook may say, said to nobody."""

    def display_info(self, *_: object) -> None: ...

    def display_warning(self, *_: object) -> None: ...


def hook_at(root: Path, *, target: str = "wheel") -> hatch_build.FacesBuildHook:
    """Return the hook as hatchling makes it."""
    return hatch_build.FacesBuildHook(str(root), {}, None, None, str(root), target, QuietApp())  # type: ignore[arg-type]


def test_no_wheel_is_made_from_a_tree_without_sources_and_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TELEREHAB_SKIP_UI", raising=False)
    with pytest.raises(hatch_build.PagesMissingError):
        hook_at(tmp_path).initialize("standard", {})


def test_pages_can_be_left_out_by_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEREHAB_SKIP_UI", "1")
    hook_at(tmp_path).initialize("standard", {})
    monkeypatch.setenv("TELEREHAB_SKIP_UI", "0")
    with pytest.raises(hatch_build.PagesMissingError):
        hook_at(tmp_path).initialize("standard", {})


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({"PATH": ""}, [hatch_build.NODE_REQUIREMENT]), ({"PATH": "", "TELEREHAB_SKIP_UI": "1"}, [])],
)
def test_node_is_asked_of_pypi_only_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], wanted: list[str]
) -> None:
    monkeypatch.delenv("TELEREHAB_SKIP_UI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hook_at(tmp_path).dependencies() == wanted
    assert hook_at(tmp_path, target="sdist").dependencies() == []
