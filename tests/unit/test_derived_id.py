"""The ids of what a cause leads to."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import derived_id

NAMESPACE = UUID("6f0c1d2e-7f0a-5b53-9d0c-5f6d0b8f3a11")


@given(cause=st.uuids(), stage=st.lists(st.text(), max_size=3))
def test_a_derived_id_is_a_uuid_of_version_5(cause: UUID, stage: list[str]) -> None:
    """The id is the standard library's UUIDv5 of the same name, so ids given out before stay what they are."""
    name = ":".join((str(cause), *stage))
    assert derived_id(cause, *stage) == uuid5(NAMESPACE, name)
