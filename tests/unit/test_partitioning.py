"""The choice of a partition: the same as every other Kafka client's."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.partitioning import partition_of


@given(st.binary(max_size=200), st.integers(1, 500))
def test_a_key_lies_where_other_clients_put_it(key: bytes, partitions: int) -> None:
    """A key's partition is the one that the client library's own partitioner, a copy of the Java client's, gives it."""
    everywhere = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)


def test_a_known_key_lies_where_it_lay() -> None:
    """Some keys' partitions stand here as numbers: no change of library may move them."""
    assert [partition_of(key, 8) for key in (b"", b"v_1", b"v_12", b"c_123", "内容".encode())] == [1, 0, 7, 3, 2]
