"""What each format makes of a file's rows, and which rows and files it refuses."""

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.report import Report
from schemas.vocabulary import Category, Channel, ContentType, SourceKind
from services.cli.importing import cold, lines, table, votes
from services.cli.importing.formats import reports_of
from services.cli.importing.refusal import ColumnsMissing, FileNotReadable, NotUtf8, Refusal

NOW = datetime(2026, 11, 23, tzinfo=UTC)
COLD = ("", "split", "topic", "label", "TEXT")
VOTES = ("", "count", "hate_speech", "offensive_language", "neither", "class", "tweet")


def text_of(header: tuple[str, ...], *rows: tuple[object, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


def from_cold(*rows: tuple[object, ...]) -> list[Report | Refusal]:
    return list(cold.reports(table.rows(io.StringIO(text_of(COLD, *rows), newline=""), cold.COLUMNS)))


def from_votes(*rows: tuple[object, ...]) -> list[Report | Refusal]:
    return list(votes.reports(table.rows(io.StringIO(text_of(VOTES, *rows), newline=""), votes.COLUMNS)))


def from_lines(*rows: bytes) -> list[Report | Refusal]:
    return list(lines.reports(io.BytesIO(b"\n".join(rows)), NOW))


def only_reports(found: list[Report | Refusal]) -> list[Report]:
    assert all(isinstance(item, Report) for item in found)
    return [item for item in found if isinstance(item, Report)]


def only_refusals(found: list[Report | Refusal]) -> list[Refusal]:
    assert all(isinstance(item, Refusal) for item in found)
    return [item for item in found if isinstance(item, Refusal)]


def test_a_row_of_cold_is_one_report_of_one_comment() -> None:
    """A row's text is the excerpt of a Chinese comment, reported by a user on the channel for imports."""
    (report,) = only_reports(from_cold((8, "dev", "gender", 1, "第一行，带逗号\n第二行")))
    assert report.content.type is ContentType.COMMENT
    assert (report.content.language, report.content.excerpt) == ("zh", "第一行，带逗号\n第二行")
    assert (report.channel, report.source.kind) == (Channel.IMPORT, SourceKind.USER)
    assert report.reporter
    assert report.explanation is None


@pytest.mark.parametrize(
    ("topic", "category"),
    [
        ("race", Category.SPEECH),
        ("region", Category.SPEECH),
        ("gender", Category.CYBER_VIOLENCE_AGAINST_WOMEN),
        ("weather", Category.NOT_SPECIFIED),
        ("", Category.NOT_SPECIFIED),
    ],
)
def test_the_topic_gives_the_category(topic: str, category: Category) -> None:
    """Topics that the file's makers used have a category, any other is not specified."""
    assert [r.category for r in only_reports(from_cold((1, "dev", topic, 0, "x")))] == [category]


cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
cold_rows = st.tuples(cells, cells, cells, cells, cells)


@given(st.lists(cold_rows, max_size=6))
def test_rows_are_the_same_report_exactly_when_they_are_equal(rows: list[tuple[str, ...]]) -> None:
    """Equal rows have equal reports, and rows that differ in any cell share neither report nor item."""
    found = only_reports(from_cold(*rows))
    assert found == only_reports(from_cold(*rows))
    assert len({r.report_id for r in found}) == len({r.content.id for r in found}) == len(set(rows))


def test_cells_are_not_joined_before_they_are_told_apart() -> None:
    """Two rows whose cells run together to the same text are two reports."""
    one, other = only_reports(from_cold(("a,b", "c", "race", 1, "x"), ("a", "b,c", "race", 1, "x")))
    assert one.report_id != other.report_id


def test_each_vote_that_reports_is_a_report() -> None:
    """Hate and offence votes are reports of one item, each by another reporter; the votes for neither are nobody's."""
    found = only_reports(from_votes((4, 6, 2, 3, 1, 1, "a post")))
    assert Counter(r.category for r in found) == {Category.SPEECH: 2, Category.OTHER_TERMS: 3}
    assert len({r.content.id for r in found}) == 1
    assert len({r.report_id for r in found}) == len({r.reporter for r in found}) == 5
    assert {(r.content.language, r.content.excerpt) for r in found} == {("en", "a post")}


def test_a_post_that_nobody_reported_is_no_report() -> None:
    """A row whose votes are all for neither gives nothing."""
    assert from_votes((4, 3, 0, 0, 3, 2, "a post")) == []


@given(st.integers(0, 30), st.integers(0, 30), cells)
def test_votes_give_the_same_reports_each_time(hate: int, offence: int, tweet: str) -> None:
    """As many reports as votes, the same ones when read again, by reporters that are all different."""
    found = only_reports(from_votes((0, 60, hate, offence, 0, 1, tweet)))
    assert found == from_votes((0, 60, hate, offence, 0, 1, tweet))
    assert len(found) == hate + offence == len({r.report_id for r in found}) == len({r.reporter for r in found})


def test_the_crowd_of_voters_is_met_again() -> None:
    """Voters of one item vote on other items too: there are fewer reporters than reports in a large file."""
    found = only_reports(from_votes(*((n, 9, 4, 5, 0, 1, f"post {n}") for n in range(3_000))))
    assert len({r.reporter for r in found}) < len(found) / 2


@pytest.mark.parametrize("told", ["-1", "2.0", "", "two", "1e3", "٣", "100000", "9" * 5_000])
@pytest.mark.parametrize("column", [2, 3, 4])
def test_votes_that_are_no_counts_are_refused(told: str, column: int) -> None:
    """A count that is negative, no whole number or beyond belief refuses its row, once, and no other."""
    bad: list[object] = [7, 3, 1, 1, 1, 1, "x"]
    bad[column] = told
    before, refused, after = from_votes((1, 1, 1, 0, 0, 0, "a"), tuple(bad), (1, 1, 1, 0, 0, 0, "b"))
    assert isinstance(before, Report)
    assert isinstance(after, Report)
    assert isinstance(refused, Refusal)
    assert refused.where == "row 2"
    assert refused.reason.startswith(VOTES[column])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a\0b", "NUL"), ("a\ud800b", "surrogate"), ("长" * 10_001, "10000 characters")],
)
def test_text_that_no_contract_takes_is_refused(text: str, reason: str) -> None:
    """NUL, half a surrogate pair and endless text refuse their row by its number; the neighbours go through."""
    found = from_cold((1, "dev", "race", 1, "good"), (2, "dev", "race", 1, text), (3, "dev", "race", 1, "good"))
    assert [type(item) for item in found] == [Report, Refusal, Report]
    assert isinstance(found[1], Refusal)
    assert found[1].where == "row 2"
    assert reason in found[1].reason
    (once,) = only_refusals(from_votes((1, 3, 3, 0, 0, 0, text)))
    assert reason in once.reason


def test_rows_of_another_length_are_refused() -> None:
    """A row with fewer or more cells than the header is refused by its number, empty lines are passed over."""
    text = text_of(COLD, (1, "dev", "race", 1, "a")) + "2,dev,race\r\n\r\n3,dev,race,1,b,more\r\n4,dev,race,1,c\r\n"
    found = list(cold.reports(table.rows(io.StringIO(text, newline=""), cold.COLUMNS)))
    assert [item.where for item in found if isinstance(item, Refusal)] == ["row 2", "row 3"]
    assert len(only_reports([item for item in found if not isinstance(item, Refusal)])) == 2


def test_a_quote_left_open_and_an_endless_line_do_not_end_the_file() -> None:
    """What is not CSV is refused, and the rows after it are read."""
    endless = "x" * (table.MOST_CHARACTERS + 5)
    text = text_of(COLD) + f'1,dev,race,1,"a"b\r\n2,dev,race,1,{endless}\r\n3,dev,race,1,c\r\n4,dev,race,1,"open'
    found = list(cold.reports(table.rows(io.StringIO(text, newline=""), cold.COLUMNS)))
    assert [type(item) for item in found] == [Refusal, Refusal, Report, Refusal]


def data(**changes: object) -> bytes:
    whole = {
        "report_id": "0b8f2a52-16f6-4f9c-8bb0-2d6f0a1c1f11",
        "channel": "one_click",
        "reporter": "u_1",
        "occurred_at": "2026-11-22T08:00:00Z",
        "source": {"kind": "user"},
        "content": {"id": "v_1", "type": "video"},
        "category": "scams_and_fraud",
        **changes,
    }
    return orjson.dumps({name: value for name, value in whole.items() if value is not None})


def test_a_line_is_the_report_it_says() -> None:
    """A line that fits the contract is read as it stands, byte order mark and empty lines aside."""
    (report,) = only_reports(from_lines(b"\xef\xbb\xbf" + data(), b"", b"  "))
    assert str(report.report_id) == "0b8f2a52-16f6-4f9c-8bb0-2d6f0a1c1f11"
    assert report.category is Category.SCAMS


def test_a_line_without_an_id_gets_one_from_its_bytes() -> None:
    """Equal lines without report_id are one report, different ones are two."""
    one, again, other = only_reports(
        from_lines(data(report_id=None), data(report_id=None), data(report_id=None, reporter="u_2"))
    )
    assert one == again
    assert one.report_id != other.report_id


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "JSON"),
        (b"[1]", "object"),
        (b"\xff\xfe", "JSON"),
        (data(unknown=1), "unknown"),
        (data(category="boredom"), "category"),
        (data(channel=None), "channel"),
        (data(reporter=None), "names its reporter"),
        (data(explanation="a\0b"), "NUL"),
        (data().replace(b"u_1", b"\\ud800"), "hex escape"),
        (data(report_id=None).replace(b"u_1", b"\\ud800"), "hex escape"),
        (data(occurred_at="2026-11-24T08:00:00Z"), "future"),
        (b'{"a":' * 5_000, "JSON"),
        (b"7" * (lines.MOST_LINE_BYTES + 3), "longer"),
    ],
)
def test_a_line_that_does_not_fit_is_refused_alone(line: bytes, reason: str) -> None:
    """The line's number and what is wrong are told, and the lines around it go through."""
    before, refused, after = from_lines(data(), line, data())
    assert isinstance(before, Report)
    assert isinstance(after, Report)
    assert isinstance(refused, Refusal)
    assert refused.where == "line 2"
    assert reason in refused.reason


def test_a_refusal_never_repeats_what_stood_there() -> None:
    """The reason names place and rule; the value, and characters that a terminal would act on, stay out of it."""
    (refusal,) = only_refusals(from_lines(data(channel="geheim", **{"\x1b[2J": 1})))
    assert "geheim" not in refusal.reason
    assert "\x1b" not in refusal.reason


def read(path: Path, form: str) -> list[Report | Refusal]:
    with reports_of(path, form, NOW) as found:
        return list(found)


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    """A table is read with and without byte order mark to the same reports."""
    file = tmp_path / "a.csv"
    text = text_of(COLD, (1, "dev", "race", 1, "你好"))
    file.write_text(text, encoding="utf-8")
    bare = read(file, "cold")
    file.write_text(text, encoding="utf-8-sig")
    assert read(file, "cold") == bare
    assert len(only_reports(bare)) == 1


def test_half_a_surrogate_pair_in_the_file_refuses_its_row_alone(tmp_path: Path) -> None:
    """Bytes that would be a surrogate are a matter of their row, not of the file's encoding."""
    file = tmp_path / "a.csv"
    text = text_of(COLD, (1, "dev", "race", 1, "a\ud800"), (2, "dev", "race", 1, "good"))
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert [type(item) for item in read(file, "cold")] == [Refusal, Report]


def test_another_encoding_is_found_before_a_row_is_given_out(tmp_path: Path) -> None:
    """A table that is not UTF-8 is refused whole, with the line where that shows."""
    file = tmp_path / "a.csv"
    file.write_bytes(text_of(COLD, (1, "dev", "race", 1, "good")).encode() + "2,dev,race,1,举报\r\n".encode("gb18030"))
    with pytest.raises(NotUtf8, match=r"line 3"):
        read(file, "cold")


@pytest.mark.parametrize(
    ("form", "text", "missing"),
    [
        ("cold", "a,b\r\n1,2\r\n", ("topic", "TEXT")),
        ("votes", text_of(COLD), ("hate_speech", "offensive_language", "neither", "tweet")),
        ("cold", "", ("topic", "TEXT")),
    ],
)
def test_a_table_of_another_form_is_refused_whole(
    tmp_path: Path, form: str, text: str, missing: tuple[str, ...]
) -> None:
    """A header without the format's columns names which are missing."""
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(ColumnsMissing) as refused:
        read(file, form)
    assert refused.value.missing == missing


@pytest.mark.parametrize("form", ["cold", "votes", "jsonl"])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, form: str) -> None:
    """A directory and a missing file are told by name."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotReadable, match=str(path)):
            read(path, form)
