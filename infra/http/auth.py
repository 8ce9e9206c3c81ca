"""Who sends a request and what they may do: an API key becomes a `Principal`, a route declares scopes by `requires`.

A key is taken from `Authorization: Bearer` or `X-API-Key`, never from the address. Unknown, expired, revoked and wrong
keys get one and the same response.
"""

import hashlib
import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from fastapi import Depends, Request
from fastapi.params import Depends as DependsParam
from fastapi.routing import APIRoute

from infra import clock
from infra.http.context import RequestContext, context_of
from infra.http.problems import (
    ABOVE_RATE,
    API_KEY_INVALID,
    API_KEY_MALFORMED,
    API_KEY_MISSING,
    AUTH_UNAVAILABLE,
    CREDENTIALS_AMBIGUOUS,
    PARTNER_KEY_REQUIRED,
    RATE_LIMITED,
    SCOPE_MISSING,
    Problem,
)
from infra.redis.rate_limit import RateLimiter
from infra.security.api_keys import SCOPES, KeyRecord, MalformedKeyError, hash_key, parse
from infra.security.key_cache import KeyStoreUnavailableError
from infra.tenancy import Tenant

CHALLENGE: Final = {"www-authenticate": 'Bearer realm="harbor-orders"'}
_SCHEME: Final = "bearer "
MAX_PROVEN: Final = 10_000
"""Credentials remembered as proven; the one that was proven first goes first."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose key it is. `partner_id` is None for an installation key, which sees all partners of its mode."""

    key_id: str
    partner_id: str | None
    livemode: bool
    scopes: frozenset[str]
    _tenant: Tenant | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the tenant once; a principal outlives its request."""
        tenant = None if self.partner_id is None else Tenant(self.partner_id, self.livemode)
        object.__setattr__(self, "_tenant", tenant)

    @property
    def tenant(self) -> Tenant:
        """Return the partner and mode whose data this key reaches.

        Raises:
            Problem: 403, the key belongs to the installation and not to a partner.
        """
        if self._tenant is None:
            raise Problem(PARTNER_KEY_REQUIRED)
        return self._tenant

    @property
    def account(self) -> str:
        """Return the name under which requests are counted: the tenant, or an installation key itself."""
        return self.key_id if self._tenant is None else self._tenant.id


class Keys(Protocol):
    """Looks up keys: `infra.security.key_cache.KeyCache`, or a fake."""

    async def get(self, key_id: str) -> KeyRecord | None:
        """Return a key; raise `KeyStoreUnavailableError` when that cannot be found out."""
        ...

    def note_use(self, key_id: str) -> None:
        """Remember that the key was used."""
        ...


class _Proven(NamedTuple):
    """A credential that was checked against a stored key; valid as long as the store of keys holds that record."""

    record: KeyRecord
    principal: Principal


class Authenticator:
    """Checks keys and counts requests.

    `pepper` is the HMAC key over keys; `now` returns the time that expiry is compared with; without a `limiter` a
    partner may send as much as it likes.

    A credential that was proven is remembered by its digest, at most `MAX_PROVEN` of them. While the store of keys
    returns the same record, only that record's expiry and revocation are checked again. So a revocation works as fast
    as it reaches the store of keys, and against a new record (the cache asks every few seconds) the credential is
    proven again.
    """

    def __init__(
        self, pepper: bytes, keys: Keys, now: Callable[[], datetime] = clock.now, limiter: RateLimiter | None = None
    ) -> None:
        self._pepper = pepper
        self._keys = keys
        self._now = now
        self._limiter = limiter
        self._policy = b"" if limiter is None else _policy_line(limiter)
        self._proven: dict[bytes, _Proven] = {}

    async def authenticate(self, context: RequestContext) -> Principal:
        """Return whose key the request carries, and put the key's id and partner on its log line.

        Raises:
            Problem: 400 two credentials, 401 none or not a valid one, 429 the partner's rate is used up, 503 the store
                of keys does not respond.
        """
        bearer, plain = context.headers.get(b"authorization"), context.headers.get(b"x-api-key")
        if bearer is not None and plain is not None:
            raise Problem(CREDENTIALS_AMBIGUOUS)
        digest = hashlib.sha256(b"\0" + plain if bearer is None and plain is not None else bearer or b"").digest()
        proven = self._proven.get(digest)
        try:
            if proven is None or await self._keys.get(proven.record.key_id) is not proven.record:
                proven = await self._prove(_credential(context))
                self._remember(digest, proven)
        except KeyStoreUnavailableError:
            raise Problem(AUTH_UNAVAILABLE) from None
        if not proven.record.is_live(self._now()):
            raise Problem(API_KEY_INVALID, headers=CHALLENGE)
        principal = proven.principal
        self._keys.note_use(principal.key_id)
        fields = context.log_fields
        fields["key_id"], fields["partner"] = principal.key_id, principal.partner_id
        fields["livemode"] = principal.livemode
        if self._limiter is not None:
            await self._count(self._limiter, principal, context)
        return principal

    async def _prove(self, text: str) -> _Proven:
        """Check a credential against the stored key it names."""
        try:
            key = parse(text)
        except MalformedKeyError:
            raise Problem(API_KEY_MALFORMED, headers=CHALLENGE) from None
        record = await self._keys.get(key.key_id)
        hashed = hash_key(self._pepper, key.text)
        if record is None or not hmac.compare_digest(record.hashed, hashed) or record.livemode is not key.livemode:
            raise Problem(API_KEY_INVALID, headers=CHALLENGE)
        return _Proven(record, Principal(record.key_id, record.partner_id, record.livemode, record.scopes))

    def _remember(self, digest: bytes, proven: _Proven) -> None:
        self._proven.pop(digest, None)
        if len(self._proven) >= MAX_PROVEN:
            del self._proven[next(iter(self._proven))]
        self._proven[digest] = proven

    async def count_more(self, principal: Principal, context: RequestContext, cost: int) -> None:
        """Count an authenticated request as `cost` more of them, all or none: it carries that many commands.

        Raises:
            Problem: 429 the partner's rate does not allow that many now; 422 it never allows them at once.
        """
        limiter = self._limiter
        if limiter is None or cost < 1:
            return
        if cost >= limiter.rate.burst:  # with the one that is counted already
            raise Problem(ABOVE_RATE, members={"max_commands": limiter.rate.burst})
        others = [each for each in context.response_headers if not each[0].startswith(b"ratelimit")]
        context.response_headers[:] = others
        await self._count(limiter, principal, context, cost, counted=1)

    async def _count(
        self, limiter: RateLimiter, principal: Principal, context: RequestContext, cost: int = 1, counted: int = 0
    ) -> None:
        """Count the request for its partner (or installation key) and say what is left (IETF RateLimit fields).

        `counted` of it were counted before: a caller that comes back pays for them again, so the wait includes them.
        """
        verdict = await limiter.admit(principal.account, cost)
        wait_s = 0 if verdict.is_allowed else math.ceil(verdict.retry_after_s + counted / limiter.rate.per_s)
        context.response_headers.append((b"ratelimit-policy", self._policy))
        context.response_headers.append((b"ratelimit", b'"partner";r=%d;t=%d' % (verdict.remaining, wait_s)))
        if not verdict.is_allowed:
            raise Problem(RATE_LIMITED, headers={"retry-after": str(max(wait_s, 1))})


def _policy_line(limiter: RateLimiter) -> bytes:
    window_s = max(math.ceil(limiter.rate.burst / limiter.rate.per_s), 1)
    return b'"partner";q=%d;w=%d' % (limiter.rate.burst, window_s)


def _credential(context: RequestContext) -> str:
    bearer, plain = context.header(b"authorization"), context.header(b"x-api-key")
    if plain is not None:
        return plain
    if bearer is None:
        raise Problem(API_KEY_MISSING, headers=CHALLENGE)
    if not bearer[: len(_SCHEME)].lower() == _SCHEME:
        raise Problem(API_KEY_MALFORMED, "Send it as: Authorization: Bearer <key>", headers=CHALLENGE)
    return bearer[len(_SCHEME) :].strip(" ")


@dataclass(frozen=True, slots=True)
class RequiredScope:
    """FastAPI dependency: authenticates, and refuses a key that has none of `scopes` (403)."""

    scopes: tuple[str, ...]

    async def __call__(self, request: Request) -> Principal:
        """Return the principal of a request that may go on; asked again for the same request, it checks only scopes."""
        state = request.scope["state"]
        principal: Principal | None = state.get("principal")
        if principal is None:
            authenticator: Authenticator = state["authenticator"]
            principal = state["principal"] = await authenticator.authenticate(context_of(request))
        if principal.scopes.isdisjoint(self.scopes):
            raise Problem(SCOPE_MISSING, members={"required_scopes": list(self.scopes)})
        return principal


def principal_of(request: Request) -> Principal:
    """Return whose key opened the route of a request; `requires` came first."""
    principal: Principal = request.scope["state"]["principal"]
    return principal


def requires(*scopes: str) -> DependsParam:
    """Declare which scopes open a route, any one of them, for `Annotated[Principal, ...]` of a parameter.

    Raises:
        ValueError: a scope is not in the list of scopes, or none was given.
    """
    unknown = set(scopes) - SCOPES
    if unknown or not scopes:
        raise ValueError(f"declare one or more known scopes, not {sorted(unknown)}")
    dependency: DependsParam = Depends(RequiredScope(scopes))
    return dependency


def required_scope(route: APIRoute) -> RequiredScope:
    """Return what a route declares with `requires`.

    Raises:
        TypeError: it declares nothing, or more than once.
    """
    found = [each.call for each in route.dependant.dependencies if isinstance(each.call, RequiredScope)]
    if len(found) != 1:
        raise TypeError(f"{route.path}: declare the scope once, with requires(...)")
    return found[0]
