"""What intake answers when it does not take what it was sent. None of these repeats what the caller sent."""

from uuid import UUID

from services.runtime.problems import Problem, Unprocessable


class SourceUnknown(Problem):
    """No source of this id."""

    def __init__(self, source_id: UUID | str) -> None:
        super().__init__(
            404, "source_unknown", "No such source", "No source has this id; `jubao source list` shows those there are."
        )
        self.source_id = source_id


class KeyUnknown(Problem):
    """The source has no key of this id."""

    def __init__(self, source_id: UUID, key_id: str) -> None:
        super().__init__(
            404, "key_unknown", "No such key", "The source has no key of this id; `jubao source show` lists its keys."
        )
        self.source_id = source_id
        self.key_id = key_id


class SourceUnbound(Problem):
    """The account is bound to no source, or to one that is not there."""

    def __init__(self) -> None:
        super().__init__(
            403,
            "source_unbound",
            "No source behind this account",
            "The account is bound to no registered source; have an admin bind it to one.",
        )


class SourceSuspended(Problem):
    """The source may not report for now."""

    def __init__(self, source_id: UUID) -> None:
        super().__init__(
            403,
            "source_suspended",
            "The source is suspended",
            "The source is suspended and its reports are not taken; ask the platform's admins to resume it.",
        )
        self.source_id = source_id


class KeyRevoked(Problem):
    """The signature is right but its key no longer counts."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            403,
            "key_revoked",
            "The key is revoked",
            "The key that signed this was revoked; sign with another key of the source.",
        )
        self.key_id = key_id


class SourceDiffers(Problem):
    """The caller named a source, and its key or account is another's."""

    def __init__(self, source_id: UUID) -> None:
        super().__init__(
            403,
            "source_differs",
            "The key belongs to another source",
            "The source that the call names is not the one this key or account belongs to; use its own key.",
        )
        self.source_id = source_id


class Reused(Problem):
    """A name that stands for one report was used for another body."""

    def __init__(self, code: str, what: str, remedy: str) -> None:
        super().__init__(409, code, f"{what} was used before", f"{what} was used before with another body; {remedy}.")


class NonceReused(Reused):
    """A signed call repeats a nonce with another body."""

    def __init__(self) -> None:
        super().__init__("nonce_reused", "The nonce", "sign each new report with a new nonce")


class IdempotencyKeyReused(Reused):
    """An Idempotency-Key comes again with another body."""

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "The Idempotency-Key", "give each new report a new one")


class ReportIdReused(Reused):
    """A report id comes again with other data."""

    def __init__(self, report_id: UUID) -> None:
        super().__init__("report_id_reused", "The report_id", "give each new report a new id")
        self.report_id = report_id


class KeyTaken(Problem):
    """A public key that is registered already, revoked or not."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            409,
            "key_taken",
            "The key is registered already",
            "This public key is registered already; make a new pair of keys, each source and attester has its own.",
        )
        self.key_id = key_id


class NameTaken(Problem):
    """An attester's name stands for one attester in every later attestation."""

    def __init__(self, name: str) -> None:
        super().__init__(
            409, "name_taken", "The name is taken", "An attester of this name exists already; choose another name."
        )
        self.name = name


class NotAnnounced(Problem):
    """Intake's key has not reached the registry's topic: what it attested now could not be believed by others."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "not_announced",
            "Intake cannot attest yet",
            "Intake's key is not yet known to the other services; send the same request again in 2 s.",
            headers={"Retry-After": "2"},
        )


class HappensLater(Unprocessable):
    """A report of something that is yet to happen."""

    def __init__(self) -> None:
        super().__init__([
            {"loc": "body.occurred_at", "msg": "a time more than an hour from now is not accepted; check the clock"}
        ])  # fmt: skip


class KeysFull(Problem):
    """A source has as many keys as it may ever have."""

    def __init__(self, source_id: UUID) -> None:
        super().__init__(
            409, "keys_full", "No room for a key", "The source has had too many keys; register it anew with this one."
        )
        self.source_id = source_id
