"""Every setting of every process: one frozen class per machine, read from the environment only at the edges.

`HARBOR_POSTGRES__URL` is field `url` of `PostgresSettings`, and so on. Nothing else reads the environment.
`docs/settings.md` is generated from these classes. A bad or missing value stops the start with one line that names the
variable (`load`) and never shows the value.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, TypeVar, get_type_hints
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from infra.settings_addresses import Address, HostName

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
TopLevelDomain = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]


def _parts(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


LISTED = (NoDecode, BeforeValidator(_parts))
"""Of a setting that is a list, separated by commas."""


EXIT_STATUS = 2
"""Of a process that refuses its settings: starting it again would not help."""


EVENTS_TOPIC = "orders.events.v1"


class SettingsError(Exception):
    """A setting is missing or wrong; the message is the one line to show."""


class Settings(BaseSettings):
    """Base of all settings: frozen, and read from variables with one prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")


class PostgresSettings(Settings, env_prefix="HARBOR_POSTGRES__"):
    """The event store, configuration and read models: one PostgreSQL primary."""

    url: SecretStr = Field(description="postgresql://user:password@host:port/database of this process' own role")
    pool_max: Count = Field(default=8, description="connections per process, at most")
    connect_timeout_s: Seconds = Field(default=5.0, description="seconds to wait for a connection")
    command_timeout_s: Seconds = Field(default=5.0, description="seconds one statement may take")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        try:
            is_address = parts.scheme in {"postgresql", "postgres"} and ("," in parts.netloc or parts.port != 0)
        except ValueError:  # a port that is no number, or beyond 65535
            is_address = False
        if not is_address:
            raise ValueError("must be postgresql://user:password@host:port/database")
        return value


class KafkaSettings(Settings, env_prefix="HARBOR_KAFKA__"):
    """The brokers. Without any, workers read the event store and the relay has nothing to do."""

    bootstrap_servers: str | None = Field(default=None, description="host:port[,host:port]; empty: no broker")
    topic_prefix: str = Field(default="", pattern=r"^[a-z0-9._-]{0,64}$", description="put before every topic name")
    partitions: Count = Field(default=12, description="partitions of orders.events.v1; can never be changed later")
    replication_factor: Count = Field(default=1, description="copies of each partition; 3 in production")

    @property
    def events_topic(self) -> str:
        """The name of the topic of all order events."""
        return f"{self.topic_prefix}{EVENTS_TOPIC}"


class RedisSettings(Settings, env_prefix="HARBOR_REDIS__"):
    """Redis or Valkey: holds only what may be lost."""

    url: SecretStr | None = Field(default=None, description="redis://host:port/db; empty: local fallbacks only")
    timeout_s: Seconds = Field(default=0.1, description="seconds a call may take before the local fallback answers")


class SecuritySettings(Settings, env_prefix="HARBOR_SECURITY__"):
    """Secrets of the installation. None has a default."""

    api_key_pepper: SecretStr = Field(min_length=32, description="HMAC key over API keys, at least 32 characters")
    cursor_secret: SecretStr = Field(min_length=32, description="HMAC key of list cursors, at least 32 characters")
    webhook_secrets_key: SecretStr = Field(description="base64 of 32 bytes; encrypts webhook secrets at rest")


class CommandApiSettings(Settings, env_prefix="HARBOR_COMMAND_API__"):
    """The write service."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=8000, description="port to listen on")
    max_in_flight: Count = Field(default=512, description="requests handled at once; more get 503")
    max_body_bytes: Count = Field(default=1_048_576, description="largest request body in bytes")
    request_deadline_s: Seconds = Field(default=5.0, description="seconds until a request gets 503")
    append_queue: Count = Field(
        default=2000, description="commands waiting for the append; more are 503; a batch is 500"
    )
    append_batch: Count = Field(default=500, description="commands in one append call, at most")
    batches_at_once: Count = Field(
        default=2, description="batches of orders handled at once; a few more wait, the rest gets 503"
    )


class QueryApiSettings(Settings, env_prefix="HARBOR_QUERY_API__"):
    """The read service."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=8001, description="port to listen on")
    max_in_flight: Count = Field(default=512, description="requests handled at once; more get 503")
    request_deadline_s: Seconds = Field(default=5.0, description="seconds until a request gets 503")
    consistency_wait_s: Seconds = Field(default=1.0, description="seconds a read waits for its Consistency-Token")


class PublicSettings(Settings, env_prefix="HARBOR_PUBLIC__"):
    """How clients reach the two HTTP services: their addresses, for links and hints, and who may use them how."""

    command_url: Address = Field(
        default="",
        description="address of the command service for clients, as https://orders.example.com; empty: both services "
        "have the same one, a proxy in front of them decides by method and path",
    )
    query_url: Address = Field(default="", description="address of the query service for clients; empty: the same")
    cors_origins: Annotated[tuple[Address, ...], *LISTED] = Field(
        default=(),
        description="comma-separated origins (https://app.example.com) whose web pages may call the services; "
        "empty: none",
    )
    trusted_hosts: Annotated[tuple[HostName, ...], *LISTED] = Field(
        default=(),
        description="comma-separated names that requests may be for, without a port; *.example.com: every name below "
        "it. Others get 421, except at health and metrics. Empty: any",
    )
    docs_enabled: bool = Field(default=True, description="false: /docs and /openapi.json are 404")
    gzip_min_bytes: Annotated[int, Field(ge=0)] = Field(
        default=4096, description="smallest response in bytes that is compressed for clients that accept gzip; 0: none"
    )


class OpsSettings(Settings, env_prefix="HARBOR_OPS__"):
    """Health and metrics port of the processes that serve no API (relay, worker, dispatcher, timer)."""

    host: str = Field(default="127.0.0.1", description="address of /livez, /readyz, /health, /metrics")
    port: Port = Field(default=0, description="port of /livez, /readyz, /health, /metrics; 0: any free port")


class RelaySettings(Settings, env_prefix="HARBOR_RELAY__"):
    """The relay from the event store to Kafka."""

    batch: Count = Field(default=2000, description="events read at once, at most")
    lease_ttl_s: Seconds = Field(default=3.0, description="seconds until a standby takes over from a silent leader")
    poll_s: Seconds = Field(default=0.1, description="seconds between looks at the log when no wake-up arrives")
    flush_deadline_s: Seconds = Field(default=10.0, description="seconds a produce may take before it is rebuilt")


class WorkerSettings(Settings, env_prefix="HARBOR_WORKER__"):
    """The projection worker."""

    source: str = Field(default="auto", pattern="^(auto|kafka|store)$", description="where events come from")
    batch: Count = Field(default=1000, description="events applied in one transaction, at most")
    poll_s: Seconds = Field(default=0.1, description="seconds between looks at the store when it is the source")
    max_poison_orders: Count = Field(
        default=20,
        description="orders with failing events that may be parked within an hour; with one more the worker halts "
        "with an alarm, because the projection must be to blame and not the events",
    )
    group_id: str = Field(default="harbor-projections", description="Kafka consumer group")
    instance_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="name of this worker across restarts (unique per worker): a restart takes its partitions back at "
        "once; empty: after a kill they are free after session_timeout_s",
    )
    session_timeout_s: Annotated[float, Field(ge=6, le=300)] = Field(
        default=10.0, description="seconds until the group assigns a silent worker's partitions to others"
    )
    lease_ttl_s: Seconds = Field(
        default=3.0,
        description="seconds until a standby takes over from a silent worker when the store is the source; until then "
        "a new worker under the name of a silent one (instance_id) waits as well",
    )


class WebhookSettings(Settings, env_prefix="HARBOR_WEBHOOKS__"):
    """The webhook dispatcher and the rules for endpoint addresses."""

    connect_timeout_s: Seconds = Field(default=3.0, description="seconds to connect")
    total_timeout_s: Seconds = Field(default=15.0, description="seconds until an attempt counts as failed")
    max_in_flight: Count = Field(default=100, description="attempts at once per dispatcher")
    max_in_flight_per_endpoint: Count = Field(default=10, description="attempts at once per endpoint")
    lease_s: Seconds = Field(
        default=60.0, description="seconds until another dispatcher may take an unfinished delivery"
    )
    poll_s: Seconds = Field(default=0.5, description="seconds between looks at the queue when no wake-up arrives")
    allow_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], *LISTED] = Field(
        default=(), description="comma-separated CIDRs of endpoints that are not public (development)"
    )
    extra_top_level_domains: Annotated[tuple[TopLevelDomain, ...], *LISTED] = Field(
        default=(),
        description="comma-separated top-level domains of endpoints besides those of the Public Suffix List, for one "
        "that is newer than the installed list; internationalised ones as xn--...",
    )
    schedule_scale: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="factor on every retry delay; below 1 only for demonstrations and tests"
    )
    max_endpoints: Count = Field(default=20, description="webhook endpoints a partner may have in one mode")


class ExpirySettings(Settings, env_prefix="HARBOR_EXPIRY__"):
    """The timer that lets orders expire."""

    poll_s: Seconds = Field(default=1.0, description="seconds between looks at the log and at what is due")
    log_batch: Count = Field(default=2000, description="events of the log read at once, at most")
    batch: Count = Field(default=200, description="due orders handled at once, at most")
    retry_s: Seconds = Field(default=60.0, description="seconds until an order that could not be handled is retried")


class LimitSettings(Settings, env_prefix="HARBOR_LIMITS__"):
    """How many requests one partner may send to one service, over all its processes; a batch counts once per order."""

    partner_per_s: Count = Field(default=20_000, description="requests per second in the long run; more are 429")
    partner_burst: Count = Field(default=20_000, description="requests at once before the rate applies")


class LoginSettings(Settings, env_prefix="HARBOR_LOGIN__"):
    """Passwords of the login roles; only the job that creates them reads these."""

    command_password: SecretStr = Field(min_length=16, description="of harbor_command_login, at least 16 characters")
    worker_password: SecretStr = Field(min_length=16, description="of harbor_worker_login, at least 16 characters")
    query_password: SecretStr = Field(min_length=16, description="of harbor_query_login, at least 16 characters")


class LogSettings(Settings, env_prefix="HARBOR_LOG__"):
    """Logs: JSON lines on standard output."""

    level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="lowest level written")


ALL_SETTINGS: tuple[type[BaseSettings], ...] = (
    PostgresSettings,
    KafkaSettings,
    RedisSettings,
    SecuritySettings,
    CommandApiSettings,
    QueryApiSettings,
    PublicSettings,
    OpsSettings,
    RelaySettings,
    WorkerSettings,
    WebhookSettings,
    ExpirySettings,
    LimitSettings,
    LoginSettings,
    LogSettings,
)

S = TypeVar("S", bound=BaseSettings)
G = TypeVar("G")


def load(kind: type[S]) -> S:
    """Read one settings class from the environment.

    Raises:
        SettingsError: one line naming every variable that is missing or wrong, without the value given.
    """
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError(f"{what_is_wrong(kind, error)} (all settings: docs/settings.md)") from None


def load_all(group: type[G]) -> G:
    """Return a dataclass whose fields are settings classes, each read by `load`.

    Raises:
        SettingsError: as `load`.
    """
    return group(**{name: load(kind) for name, kind in get_type_hints(group).items()})


def what_is_wrong(kind: type[BaseSettings], error: ValidationError) -> str:
    """Return one line that names every variable that is missing or wrong, without the value given."""
    prefix = kind.model_config.get("env_prefix", "")
    items = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{prefix}{''.join(map(str, item['loc'][:1])).upper()}: {item['msg']}" for item in items)
