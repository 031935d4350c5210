"""A broker that has just begun to listen does not answer yet: it is waited for, and nothing is concluded."""

import pytest
from aiokafka.errors import NodeNotReadyError

from services.runtime import administration
from services.runtime.problems import BrokerAway
from services.runtime.settings import Settings

SETTINGS = Settings.model_validate({"kafka": "127.0.0.1:9", "kafka_user": "review"})


class Young:
    """An admin client of a broker that knows of no broker yet."""

    async def start(self) -> None:
        """It takes connections."""

    async def close(self) -> None:
        """Likewise."""

    async def describe_cluster(self) -> None:
        raise NodeNotReadyError


async def test_a_broker_that_knows_of_none_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for its name before it knows of itself, the broker is away, and not a reason to end."""
    monkeypatch.setattr(administration, "AIOKafkaAdminClient", lambda **_: Young())
    with pytest.raises(BrokerAway):
        await administration.cluster_id(SETTINGS)
