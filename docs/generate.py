"""Write every generated document of docs/ from the code, or (`--check`) fail where one is stale or breaks the contract.

Run it as `make docs`; `make check` runs `python docs/generate.py --check`. `--publish` publishes today's OpenAPI
documents: later ones must not break them.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

import command_api.catalogue  # noqa: E402  # the path is set above
import command_api.openapi  # noqa: E402
import domain.catalogue  # noqa: E402
import infra.kafka.asyncapi  # noqa: E402
import infra.observability.health  # noqa: E402
import infra.settings_catalogue  # noqa: E402
import query_api.openapi  # noqa: E402
import query_api.problems  # noqa: E402
from docs.contract.gate import AcceptanceError, Verdict, judge_all, publish  # noqa: E402
from infra.http.pages.errors import Errors  # noqa: E402


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"


ROUTES = "../infra/http/addresses/routes.json"
ERRORS = "../infra/http/pages/errors.json"
"""No documents: what each service knows of the other."""


def documents() -> dict[str, Callable[[], str]]:
    """Return every generated file, relative to docs/, with what writes it."""
    schemas = domain.catalogue.json_schemas() | domain.catalogue.older_json_schemas()
    files: dict[str, Callable[[], str]] = {
        "events.md": domain.catalogue.events_markdown,
        "states.md": domain.catalogue.states_markdown,
        "health.md": infra.observability.health.markdown,
        "settings.md": infra.settings_catalogue.markdown,
        "errors.md": lambda: command_api.catalogue.catalogue_markdown(errors()),
        ERRORS: lambda: _json(errors().document()),
        "openapi/command.json": lambda: _json(command_api.openapi.document()),
        "openapi/query.json": lambda: _json(query_api.openapi.document()),
        ROUTES: routes,
        "asyncapi.json": lambda: _json(infra.kafka.asyncapi.document(schemas)),
    }
    for (event_type, version), schema in schemas.items():
        files[f"schemas/{event_type}.v{version}.json"] = lambda schema=schema: _json(schema)  # type: ignore[misc]  # binds now
    return files


def errors() -> Errors:
    """Return the errors of both services."""
    return command_api.catalogue.errors_of_both(query_api.problems.CATALOGUE, query_api.problems.FIELD_CODES)


def routes() -> str:
    """Return the methods of every path of both services."""
    services = {"command": command_api.openapi.document(), "query": query_api.openapi.document()}
    return _json(
        {
            service: {
                path: sorted(map(str.upper, operations)) for path, operations in sorted(document["paths"].items())
            }
            for service, document in services.items()
        }
    )


def contract() -> dict[str, str]:
    """Return the OpenAPI documents that clients hold, by service."""
    files = documents()
    return {service: files[f"openapi/{service}.json"]() for service in ("command", "query")}


def judged(verdicts: list[Verdict]) -> int:
    """Print what changed since the contract was last published; return the exit status."""
    for verdict in verdicts:
        print("\n".join(verdict.lines()))
    if not any(verdict.refused for verdict in verdicts):
        return 0
    print("Keep the old form beside the new one, raise the major version, or name the change in accepted.toml.")
    return 1


def main() -> int:
    """Write, check or publish; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale or breaks clients")
    parser.add_argument("--publish", action="store_true", help="publish today's OpenAPI documents")
    asked = parser.parse_args()
    try:
        if asked.publish:
            return judged(publish(contract()))
        stale = write_all(check=asked.check)
        return stale or judged(judge_all({name: json.loads(text) for name, text in contract().items()}))
    except AcceptanceError as error:
        print(f"docs/openapi/accepted.toml: {error}")
        return 1


def write_all(*, check: bool) -> int:
    """Write what is stale, or only report it; return the exit status."""
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
