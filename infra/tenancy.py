"""The owner of data: a partner in one mode. Test and live share nothing but code."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tenant:
    """One partner in one mode; it comes only from an API key."""

    partner_id: str
    livemode: bool
    id: str = field(init=False)
    """The `tenant_id` of every table: `<partner_id>.live` or `<partner_id>.test`."""

    def __post_init__(self) -> None:
        """Make the id once; every request uses it several times."""
        object.__setattr__(self, "id", f"{self.partner_id}.{'live' if self.livemode else 'test'}")

    @classmethod
    def parse(cls, tenant_id: str) -> "Tenant":
        """Return the tenant of a `tenant_id`.

        Raises:
            ValueError: it is not `<partner_id>.live` or `<partner_id>.test`.
        """
        partner_id, _, mode = tenant_id.rpartition(".")
        if not partner_id or mode not in {"live", "test"}:
            raise ValueError("a tenant id is <partner_id>.live or <partner_id>.test")
        return cls(partner_id, mode == "live")
