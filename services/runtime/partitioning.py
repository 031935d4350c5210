"""Which partition a key lies on: the choice of every Kafka client, so that a key stays where others put it."""

from functools import lru_cache
from struct import unpack_from
from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_REMEMBERED: Final = 65_536


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, counted from 0, as Kafka's default partitioner has it."""
    return (_murmur2(key) & _POSITIVE) % partitions


@lru_cache(maxsize=_REMEMBERED)
def _murmur2(key: bytes) -> int:
    """MurmurHash2 of 32 bits with Kafka's seed; aiokafka's own goes byte by byte and takes several times as long."""
    length = len(key)
    mixed = _SEED ^ length
    for word in unpack_from(f"<{length >> 2}I", key):
        part = word * _MIX & _WORD
        mixed = mixed * _MIX & _WORD ^ (part ^ part >> 24) * _MIX & _WORD
    tail = length & 3
    if tail:
        mixed = (mixed ^ int.from_bytes(key[-tail:], "little")) * _MIX & _WORD
    mixed = (mixed ^ mixed >> 13) * _MIX & _WORD
    return mixed ^ mixed >> 15
