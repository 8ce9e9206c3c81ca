"""Settings are read once, are frozen, and a bad one is named without showing its value."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import ValidationError

from infra import settings_catalogue
from infra.settings import ALL_SETTINGS, CommandApiSettings, SecuritySettings, SettingsError, load


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def test_a_value_comes_from_its_variable() -> None:
    with environment(HARBOR_COMMAND_API__PORT="9001"):
        assert load(CommandApiSettings).port == 9001


def test_a_wrong_value_is_named_by_its_variable() -> None:
    with environment(HARBOR_COMMAND_API__PORT="ninety"), pytest.raises(SettingsError, match="HARBOR_COMMAND_API__PORT"):
        load(CommandApiSettings)


def test_a_bad_secret_is_never_shown() -> None:
    with environment(HARBOR_SECURITY__API_KEY_PEPPER="short-canary"), pytest.raises(SettingsError) as raised:
        load(SecuritySettings)
    assert "API_KEY_PEPPER" in str(raised.value)
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
