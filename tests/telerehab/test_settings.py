import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from telerehab.errors import SettingsError
from telerehab.settings import Settings, load_settings


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        data_dir=tmp_path,
        public_hosts=["*.localhost", "rehab.example"],
        tls_certificate=tmp_path / "c.pem",
        tls_key=tmp_path / "k.pem",
        media_address="192.0.2.7",
        demo=True,
        log_level="DEBUG",
    )
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_what_nobody_chose_lies_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/telerehab.db"
    assert settings.hot_database_url == f"sqlite:///{tmp_path}/blocks.db"
    assert settings.secret_key_file == tmp_path / "secret.key"


def test_postgres_holds_both_stores_and_is_reached_by_psycopg_3(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://db.example/telerehab")
    assert settings.database_url == settings.hot_database_url == "postgresql+psycopg://db.example/telerehab"


def test_wrong_settings_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEREHAB_WEB_PORT", "harbour")
    with pytest.raises(SettingsError, match="TELEREHAB_WEB_PORT") as caught:
        load_settings()
    assert "harbour" not in str(caught.value)


def test_certificate_and_key_belong_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TELEREHAB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TELEREHAB_TLS_KEY", str(tmp_path / "key.pem"))
    with pytest.raises(SettingsError, match="belong together"):
        load_settings()


def test_all_roles_derive_the_same_secrets_and_each_purpose_another(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: settings.secret_for("mqtt:web"), range(16)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32
    assert settings.secret_for("mqtt:web") != settings.secret_for("mqtt:ingest")
    assert settings.mqtt_password("web") == settings.secret_for("mqtt:web").hex()
    assert stat.S_IMODE(settings.secret_key_file.stat().st_mode) == 0o600
    assert [path.name for path in settings.secret_key_file.parent.iterdir()] == ["secret.key"]
    assert Settings(data_dir=tmp_path / "other").secret_for("mqtt:web") != settings.secret_for("mqtt:web")


def test_a_secret_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.secret_for("x")
    settings.secret_key_file.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        settings.secret_for("x")


def test_a_short_secret_key_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.secret_key_file.touch(mode=0o600)
    with pytest.raises(SettingsError, match="shorter"):
        settings.secret_for("x")


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=f"{os.sep}file{os.sep}"):
        Settings(data_dir=tmp_path / "file" / "below").secret_for("x")
