"""What a person is told who has set, named or written something that does not count."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from services.audit.search import TYPES, Filters
from services.cli.commands.token import command as token
from services.cli.errors import NotReady
from services.cli.stack.ignored import ignored_settings
from services.cli.stack.logfile import last_sentence
from services.cli.stack.services import WEB
from services.cli.stack.state import SlotState, StackState, own_process
from services.intake.forms import FlaggedReport

STATEMENT = {
    "channel": "police_one_click",
    "occurred_at": "2026-11-23T08:00:00Z",
    "content": {"id": "v_1", "type": "video"},
    "category": "scams_and_fraud",
    "explanation": "请尽快处理",
    "legal_ground": "《反电信网络诈骗法》第三十八条",
}


@pytest.mark.parametrize("field", ["legal_ground", "explanation"])
@pytest.mark.parametrize("blank", [" ", "\t\n", "\u3000"])
def test_blank_ground_or_explanation_is_refused(field: str, blank: str) -> None:
    """A flagged report whose ground or explanation is spaces alone does not fit, and is told so."""
    FlaggedReport.model_validate_json(json.dumps(STATEMENT))
    with pytest.raises(ValidationError, match="spaces alone say nothing"):
        FlaggedReport.model_validate_json(json.dumps({**STATEMENT, field: blank}))


def test_unknown_type_of_entry_is_refused() -> None:
    """A search for a type that no entry has is refused and names those there are, instead of finding nothing."""
    with pytest.raises(ValidationError, match=r"there are .*jubao\.case\.claimed\.v1"):
        Filters.model_validate({"type": "nonsense"})
    assert {"jubao.activity.alert.v1", "jubao.record.unreadable.v1", "jubao.source.changed.v1"} <= set(TYPES)
    assert all(Filters.model_validate({"type": kind}).type == kind for kind in TYPES)


def test_settings_that_come_too_late_are_named() -> None:
    """Of a stack that runs, the settings given now that it was not started with are named, and no others."""
    web = SlotState(WEB, "http://127.0.0.1:1", 15, process=own_process())
    state = StackState(supervisor=own_process(), data="d", slots=[web])
    started_with = {name: value for name, value in os.environ.items() if name.startswith("JUBAO_")}
    given = {**started_with, "JUBAO_LEASE_SECONDS": "77", "JUBAO_KAFKA": "another:1", "JUBAO_NO_SETTING": "1"}
    assert ignored_settings(state, given) == ["JUBAO_LEASE_SECONDS"]
    assert ignored_settings(state, started_with) == []
    assert ignored_settings(None, given) == []


def test_a_service_that_refuses_to_start_is_quoted(tmp_path: Path) -> None:
    """The last sentence of a service process that ended is in that of `jubao up`; without one its log is named."""
    log = tmp_path / "web.log"
    log.write_text('{"event": "serving"}\nThe policy default has been used with version 1.\n{"event": "x"}\n')
    assert last_sentence(log) == "The policy default has been used with version 1"
    told = str(NotReady("web", "ended 5 times while starting", log, last_sentence(log)))
    assert "ended 5 times while starting: The policy default has been used with version 1; see" in told
    log.write_text('{"event": "serving"}\n')
    assert last_sentence(log) == last_sentence(tmp_path / "none.log") == ""
    assert "the last lines of" in str(NotReady("web", "ended", log, last_sentence(log)))


def test_hint_names_the_directory(tmp_path: Path) -> None:
    """Whoever asks for a token of an unknown account is told the command that makes it in the same directory."""
    told = CliRunner().invoke(token, ["nobody", "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert f"`jubao staff add nobody --role ROLE --data {tmp_path}`" in told.output
