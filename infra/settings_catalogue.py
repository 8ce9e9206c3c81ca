"""The table of every setting, for docs/settings.md, generated from the settings classes."""

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from infra.settings import ALL_SETTINGS


def markdown() -> str:
    """Return docs/settings.md."""
    parts = [
        "# Settings",
        "",
        "Generated from `infra/settings.py` by `make docs`. Every process reads the environment once, at start; a bad",
        "value stops it with one line. `make up` sets all of these for you.",
    ]
    for kind in ALL_SETTINGS:
        prefix = str(kind.model_config.get("env_prefix", ""))
        parts += ["", f"## {kind.__name__}", "", (kind.__doc__ or "").strip().splitlines()[0], ""]
        parts += ["| variable | meaning | default |", "|---|---|---|"]
        for name, field in kind.model_fields.items():
            meaning = (field.description or "").replace("|", "\\|")
            parts.append(f"| `{prefix}{name.upper()}` | {meaning} | {_default(field)} |")
    return "\n".join(parts) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required** (secret)" if field.annotation is SecretStr else "**required**"
    if field.default in (None, "", ()):
        return "none"
    return f"`{field.default}`"
