"""Settings are read once, are frozen, and a bad one is named without showing its value."""

import pytest
from pydantic import ValidationError

from infra import settings_catalogue
from infra.settings import ALL_SETTINGS, CommandApiSettings, SecuritySettings, SettingsError, load


def test_a_value_comes_from_its_variable_and_a_wrong_one_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARBOR_COMMAND_API__PORT", "9001")
    assert load(CommandApiSettings).port == 9001
    monkeypatch.setenv("HARBOR_COMMAND_API__PORT", "ninety")
    with pytest.raises(SettingsError, match="HARBOR_COMMAND_API__PORT"):
        load(CommandApiSettings)


def test_a_bad_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARBOR_SECURITY__API_KEY_PEPPER", "short-canary")
    with pytest.raises(SettingsError, match="API_KEY_PEPPER") as raised:
        load(SecuritySettings)
    assert "canary" not in str(raised.value)


def test_settings_cannot_be_changed_after_the_start() -> None:
    settings = CommandApiSettings()
    with pytest.raises(ValidationError):
        setattr(settings, "port", 1)  # noqa: B010  # mypy knows it is read-only; the test is about run time


def test_every_setting_says_what_it_means_and_is_in_the_catalogue() -> None:
    page = settings_catalogue.markdown()
    for kind in ALL_SETTINGS:
        for name, field in kind.model_fields.items():
            assert field.description, name
            assert f"`{kind.model_config['env_prefix']}{name.upper()}`" in page
