"""The module's settings, out of the mapping that the library hands to a factory (`HARBOR_*`, or `<NAME>_HARBOR_*`)."""

from dataclasses import dataclass

from eventsourcing.persistence import InfrastructureFactoryError
from eventsourcing.utils import Environment
from pydantic import ValidationError

from infra.settings import PostgresSettings, what_is_wrong
from infra.tenancy import Tenant

TENANT = "HARBOR_TENANT"
CALL_TIMEOUT_S = "HARBOR_CALL_TIMEOUT_S"
_DEFAULT_CALL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ModuleSettings:
    """What one factory works with.

    Attributes:
        postgres: where the store is and how long to wait for it.
        consumer: name of the application or projection; its tracking is kept under it.
        tenant_id: whose events are seen and written; None: those of all, and nothing can be written.
        call_timeout_s: seconds any call of a recorder may take.
    """

    postgres: PostgresSettings
    consumer: str
    tenant_id: str | None
    call_timeout_s: float


def read_settings(env: Environment) -> ModuleSettings:
    """Return the settings of a factory; as everywhere in the library, the application's name may precede a variable.

    Raises:
        InfrastructureFactoryError: one line that names the variable that is missing or wrong.
    """
    tenant_id = env.get(TENANT) or None
    try:
        if tenant_id is not None:
            Tenant.parse(tenant_id)
    except ValueError as error:
        raise InfrastructureFactoryError(f"{TENANT}: {error}") from None
    try:
        call_timeout_s = float(env.get(CALL_TIMEOUT_S) or _DEFAULT_CALL_TIMEOUT_S)
    except ValueError:
        call_timeout_s = 0.0
    if not 0 < call_timeout_s < float("inf"):
        raise InfrastructureFactoryError(f"{CALL_TIMEOUT_S}: not a number of seconds above 0")
    return ModuleSettings(_postgres(env), env.name, tenant_id, call_timeout_s)


def _postgres(env: Environment) -> PostgresSettings:
    prefix = PostgresSettings.model_config.get("env_prefix", "")
    given = {field: env.get(f"{prefix}{field.upper()}") for field in PostgresSettings.model_fields}
    try:
        return PostgresSettings.model_validate({field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        raise InfrastructureFactoryError(what_is_wrong(PostgresSettings, error)) from None
