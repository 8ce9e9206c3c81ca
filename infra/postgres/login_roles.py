"""Login roles of the three kinds of process.

Migrations create the group roles and their privileges; this creates the logins, because passwords belong to an
installation and not to the schema. `python -m infra.postgres.login_roles` does it for compose and for external servers;
the local stack and the tests call `create_login_roles`.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

import asyncpg
import click

from infra.postgres.advice import advice
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.settings import LoginSettings, PostgresSettings, SettingsError, load
from infra.settings_names import warn_of_mistyped

# login role -> group role of the migrations
LOGIN_ROLES: Mapping[str, str] = MappingProxyType(
    {
        "harbor_command_login": "harbor_command",
        "harbor_worker_login": "harbor_worker",
        "harbor_query_login": "harbor_query",
    }
)
# Any session may turn this off; the services check it, and their roles start with the safe value.
_DEFAULTS = "synchronous_commit = on"


async def create_login_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Create each login role of `LOGIN_ROLES`, or set the password of an existing one; safe to repeat.

    Args:
        admin_url: address of a superuser, or of a role with CREATEROLE that administers the group roles.
        passwords: login role -> password.
    """
    connection = await asyncpg.connect(admin_url, timeout=10, command_timeout=10)
    try:
        async with connection.transaction():
            # Two installers at once would both find a role missing.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('harbor.login_roles'))")
            for role, group in LOGIN_ROLES.items():
                for name, attributes in ((group, "NOLOGIN"), (role, "LOGIN")):
                    known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name)
                    if not known:
                        await connection.execute(f'CREATE ROLE "{name}" {attributes}')
                # DDL takes no parameters; format() of the server quotes the password.
                statement = await connection.fetchval(
                    "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)", role, passwords[role]
                )
                await connection.execute(statement)
                await connection.execute(f'ALTER ROLE "{role}" SET {_DEFAULTS}')
                await connection.execute(f'GRANT "{group}" TO "{role}"')
    finally:
        await connection.close()


@click.command(
    epilog="Example: HARBOR_POSTGRES__URL=postgresql://admin:...@db/harbor python -m infra.postgres.login_roles"
)
def main() -> None:
    """Create the login roles in the database at HARBOR_POSTGRES__URL (an admin's address), or change their passwords.

    HARBOR_LOGIN__COMMAND_PASSWORD, HARBOR_LOGIN__WORKER_PASSWORD and HARBOR_LOGIN__QUERY_PASSWORD are required.
    """
    warn_of_mistyped(os.environ)
    try:
        logins = load(LoginSettings)
        url = load(PostgresSettings).url.get_secret_value()
        passwords = {
            "harbor_command_login": logins.command_password.get_secret_value(),
            "harbor_worker_login": logins.worker_password.get_secret_value(),
            "harbor_query_login": logins.query_password.get_secret_value(),
        }
        asyncio.run(create_login_roles(url, passwords))
    except SettingsError as error:
        sys.exit(str(error))
    except ANY_DATABASE_ERROR as error:
        sys.exit(f"login roles: {advice(error)}")
    click.echo(f"may log in: {', '.join(LOGIN_ROLES)}")


if __name__ == "__main__":
    main()
