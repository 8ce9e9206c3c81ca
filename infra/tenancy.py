"""Whose data it is: a partner in one mode. Test and live share nothing but code."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tenant:
    """One partner in one mode; comes only from an API key."""

    partner_id: str
    livemode: bool
    id: str = field(init=False)
    """The name used as `tenant_id` in every table: `<partner_id>.live` or `<partner_id>.test`."""

    def __post_init__(self) -> None:
        """Spell the name once; it is asked for several times a request."""
        object.__setattr__(self, "id", f"{self.partner_id}.{'live' if self.livemode else 'test'}")

    @classmethod
    def parse(cls, tenant_id: str) -> "Tenant":
        """Read a `tenant_id` back.

        Raises:
            ValueError: not of the form `<partner_id>.live|test`.
        """
        partner_id, _, mode = tenant_id.rpartition(".")
        if not partner_id or mode not in {"live", "test"}:
            raise ValueError("a tenant id is <partner_id>.live or <partner_id>.test")
        return cls(partner_id, mode == "live")
