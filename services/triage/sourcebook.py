"""What `sources.v1` has said so far: the latest word on each flagged source and each attesting key."""

from schemas.source import Attester, AttesterChanged, Source, SourceChanged


class SourceBook:
    """Sources by id and attesters by key id. An older version never replaces a newer one."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._attesters: dict[str, Attester] = {}

    def take(self, event: SourceChanged | AttesterChanged) -> None:
        """Takes one change in."""
        if isinstance(event, SourceChanged):
            source = event.data
            before = self._sources.get(str(source.source_id))
            if before is None or source.version >= before.version:
                self._sources[str(source.source_id)] = source
            return
        attester = event.data
        known = self._attesters.get(attester.key.key_id)
        if known is None or attester.version >= known.version:
            self._attesters[attester.key.key_id] = attester

    def source(self, source_id: str | None) -> Source | None:
        """The source of an id, however its letters are written."""
        return self._sources.get(source_id.lower()) if source_id else None

    def attester(self, key_id: str) -> Attester | None:
        """The attester of a key id, revoked or not."""
        return self._attesters.get(key_id)

    def __len__(self) -> int:
        return len(self._sources) + len(self._attesters)
