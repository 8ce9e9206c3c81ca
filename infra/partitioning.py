"""The partition of an order: Kafka's default partitioner, so that every client agrees."""

import struct
from uuid import UUID

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash as Kafka's Java client computes it (`Utils.murmur2`)."""
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    # Masked once per word and not per operation: the low 32 bits are the same.
    for word in struct.unpack_from(f"<{whole >> 2}I", data):
        k = word * _M & _MASK
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(order_id: UUID | str, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, of an order: murmur2 of the canonical text of its id."""
    return (murmur2(str(order_id).encode()) & 0x7FFFFFFF) % partitions
