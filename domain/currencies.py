"""The active currencies of ISO 4217 and how many digits each has after the point: 0, 2, 3 or 4.

The list is that of the `iso4217` package, which holds the table of the ISO maintenance agency; the package's version is
the day of publication. Codes without a minor unit (metals, XDR, XTS, XXX) are left out: no order can be priced in them
(decision 0035).
"""

from types import MappingProxyType

from iso4217 import Currency

EXPONENTS = MappingProxyType(
    {code: digits for code, digits in sorted((each.code, each.exponent) for each in Currency) if digits is not None}
)
"""Alphabetic code -> digits after the point, for currencies that a new order may be priced in."""

RETIRED: MappingProxyType[str, int] = MappingProxyType({})
"""The same for currencies that ISO withdrew after orders were priced in them: those orders go on."""
