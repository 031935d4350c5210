"""`jubao audit story`: a report's way in plain words, in Chinese or English."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from services.cli.client import client
from services.cli.options import data_option, json_option
from services.cli.output import emit, say

_LANGUAGES: Final = ("zh", "en")
# The first that is set names the language, as POSIX has it for messages.
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
_SHOWN_ENTRIES: Final = 8
_WORDS: Final = {
    "zh": (
        "日志条目 {}",
        " 等共{}条",
        "、",
        "案件条目过多，以上只是一部分；全部条目见 `jubao audit search --report-id`。",
    ),
    "en": (
        "log entries {}",
        " and others, {} in all",
        ", ",
        "The case has more entries than a story tells; `jubao audit search --report-id` has them all.",
    ),
}


def language(environment: Mapping[str, str]) -> str:
    """The language a person wants to read: JUBAO_LANG, else that of the locale; English where neither is Chinese."""
    wanted = environment.get("JUBAO_LANG", "").strip().lower()
    if wanted in _LANGUAGES:
        return wanted
    locale = next((value for name in _LOCALE if (value := environment.get(name))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


@click.command()
@click.argument("report_id")
@click.option("--lang", type=click.Choice(_LANGUAGES), help="Language; default: JUBAO_LANG, else the locale's.")
@click.option(
    "--time-zone", default="Asia/Shanghai", show_default=True, metavar="NAME", help="Whose clocks times are told by."
)
@data_option
@json_option
def story(report_id: str, lang: str | None, time_zone: str, data: Path | None, *, as_json: bool) -> None:
    """Tell a report's way in plain words; each sentence names the entries of the log that say so."""
    spoken = lang or language(os.environ)
    with client(data, role="auditor") as http:
        asked = {"lang": spoken, "time_zone": time_zone}
        found: dict[str, Any] = http.get(f"/audit/v1/stories/{report_id}", params=asked).json()
    emit(found, json=as_json, table=lambda: "\n".join(_line(sentence, spoken) for sentence in found["sentences"]))
    if not found["complete"]:
        say(_WORDS[spoken][3])


def _line(sentence: Mapping[str, Any], spoken: str) -> str:
    named, more, comma, _ = _WORDS[spoken]
    entries = sentence["entries"]
    shown = comma.join(str(index) for index in entries[:_SHOWN_ENTRIES])
    if len(entries) > _SHOWN_ENTRIES:
        shown += more.format(len(entries))
    return f"{sentence['text']} [{named.format(shown)}]"
