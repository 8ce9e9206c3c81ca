"""Write every generated document of docs/ from the code, or (`--check`) fail where one is stale.

Run it as `make docs`; `make check` runs `python docs/generate.py --check`.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

import command_api.errors  # noqa: E402  # the path is set above
import command_api.openapi  # noqa: E402
import domain.catalogue  # noqa: E402
import infra.kafka.asyncapi  # noqa: E402
import infra.settings_catalogue  # noqa: E402
import query_api.openapi  # noqa: E402
import query_api.problems  # noqa: E402


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def documents() -> dict[str, Callable[[], str]]:
    """Give every generated file, relative to docs/, with what writes it."""
    schemas = domain.catalogue.json_schemas() | domain.catalogue.older_json_schemas()
    files: dict[str, Callable[[], str]] = {
        "events.md": domain.catalogue.events_markdown,
        "states.md": domain.catalogue.states_markdown,
        "settings.md": infra.settings_catalogue.markdown,
        "errors.md": lambda: command_api.errors.catalogue_markdown(
            query_api.problems.CATALOGUE, query_api.problems.FIELD_CODES
        ),
        "openapi/command.json": lambda: _json(command_api.openapi.document()),
        "openapi/query.json": lambda: _json(query_api.openapi.document()),
        "asyncapi.json": lambda: _json(infra.kafka.asyncapi.document(schemas)),
    }
    for (event_type, version), schema in schemas.items():
        files[f"schemas/{event_type}.v{version}.json"] = lambda schema=schema: _json(schema)  # type: ignore[misc]  # binds now
    return files


def main() -> int:
    """Write or check; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    check = parser.parse_args().check
    stale = []
    for name, write in documents().items():
        path = DOCS / name
        text = write()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    if check and stale:
        print(f"stale: {', '.join(stale)}. Run: make docs")
        return 1
    print("docs are up to date" if not stale else f"{len(stale)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
