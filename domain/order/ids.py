"""Typed ids of orders."""

from typing import NewType
from uuid import UUID

OrderId = NewType("OrderId", UUID)
"""A UUIDv7; also the id of the order's stream."""
