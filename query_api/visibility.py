"""Whose data a read may see. Every statement of this service carries one condition, and it is made here alone."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, bindparam, literal

from infra.http.auth import Principal


def visible(source: FromClause, *, is_partner: bool) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that hides what is not the caller's. It is decided nowhere else."""
    if "tenant_id" in source.c:
        if not is_partner:
            raise ValueError("webhook deliveries are read with the key of their partner only")
        return (source.c.tenant_id == bindparam("tenant_id", type_=Text),)
    mode = source.c.livemode == bindparam("livemode")
    return (mode, source.c.partner_id == bindparam("partner_id")) if is_partner else (mode,)


def visible_notes(visibility: ColumnElement[str], *, is_partner: bool) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that hides internal notes from the installation: they are for the partner's own staff."""
    return () if is_partner else (visibility == literal("partner", Text),)


def visibility_of(principal: Principal, names: Iterable[str]) -> dict[str, Any]:
    """Return the arguments that `visible` asks for, by the names of a statement's parameters.

    Raises:
        Problem: 403, the statement is about one partner's data and the key belongs to none.
    """
    if "tenant_id" in names:
        return {"tenant_id": principal.tenant.id}
    partner = {} if principal.partner_id is None else {"partner_id": principal.partner_id}
    return {"livemode": principal.livemode} | partner
