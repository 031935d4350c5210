"""The words on the wire are those that programs outside lean on, and each can be said in both languages."""

import re
from enum import StrEnum

import pytest

from schemas import vocabulary
from schemas.case import CaseChange
from schemas.vocabulary import (
    FLAGGED_KINDS,
    SEVERE_ACTIONS,
    Action,
    AlertCode,
    Basis,
    CaseKind,
    CaseState,
    Category,
    Channel,
    ContentType,
    Lane,
    Look,
    PriorityClass,
    SourceKind,
    SourceStatus,
    Standing,
    Verdict,
    Word,
)

# The interface's own lists, written out: a word that changes here changes programs that are not in this repository.
WIRE: dict[type[StrEnum], str] = {
    SourceKind: "user police trusted_flagger government",
    Channel: "one_click police_one_click direct_message mention web_form import",
    ContentType: "video live comment message image text audio account product other",
    Category: (
        "animal_welfare consumer_information cyber_violence cyber_violence_against_women "
        "data_protection_and_privacy_violations illegal_or_harmful_speech intellectual_property_infringements "
        "negative_effects_on_civic_discourse_or_elections protection_of_minors risk_for_public_security "
        "scams_and_fraud self_harm unsafe_and_prohibited_products violence other_violation_tc not_specified"
    ),
    Verdict: "illegal against_terms no_violation",
    Basis: "reporter content reports retention",
    Action: (
        "remove disable_access demote age_restrict label limit_interaction suspend_account terminate_account "
        "suspend_monetisation"
    ),
    CaseState: "queued claimed decided",
    CaseKind: "report",
    Lane: "flagged public",
    SourceStatus: "active suspended",
    Standing: "good suspended over_quota out_of_territory out_of_expertise unknown",
    AlertCode: ("no_attestation bad_attestation unknown_attester attester_kind suspended_source overload"),
    Look: "search story receipt proof bundle export case cases holds",
    CaseChange: "opened joined lifted attached claimed renewed released expired decided",
}

WORDS = [word for vocabulary_of in WIRE for word in vocabulary_of]

each_word = pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{type(word).__name__}.{word.name}")


@pytest.mark.parametrize("words", WIRE, ids=lambda words: words.__name__)
def test_wire_values(words: type[StrEnum]) -> None:
    """The values of a vocabulary are exactly those of the interface, in its order."""
    assert [word.value for word in words] == WIRE[words].split()


def test_every_vocabulary_is_here() -> None:
    """No vocabulary is left out of this test's list."""
    found = {
        value
        for value in vars(vocabulary).values()
        if isinstance(value, type) and issubclass(value, Word) and value is not Word
    }
    assert found <= set(WIRE)


@each_word
def test_word_has_sentences(word: Word) -> None:
    """Each word has a sentence in English and one in Chinese, each ended as its language ends one."""
    assert re.fullmatch(r"[A-Z].*\.", word.sentence)
    assert re.fullmatch(r".*[\u4e00-\u9fff].*。", word.sentence_zh)


@each_word
def test_word_is_its_value(word: Word) -> None:
    """A word is the text that goes over the wire, and is found by it."""
    assert word == word.value
    assert type(word)(word.value) is word
    assert f"{word}" == word.value


def test_sentences_tell_words_apart() -> None:
    """No two words of one vocabulary share a sentence in either language."""
    for words in WIRE:
        for sentences in ({w.sentence for w in words}, {w.sentence_zh for w in words}):
            assert len(sentences) == len(words), words


def test_classes() -> None:
    """The classes are P0 to P4, each better than the next, each with its sentence."""
    assert [priority.label for priority in PriorityClass] == ["P0", "P1", "P2", "P3", "P4"]
    assert max(PriorityClass) is PriorityClass.P4
    assert all(priority.sentence.endswith(".") for priority in PriorityClass)


def test_severe_actions() -> None:
    """The severe actions are those that take an account from somebody."""
    assert {"terminate_account", "suspend_account"} == SEVERE_ACTIONS


def test_flagged_kinds() -> None:
    """The flagged lane is for police, trusted flaggers and government."""
    assert {"police", "trusted_flagger", "government"} == FLAGGED_KINDS


def test_categories_map_to_the_platform() -> None:
    """Each category has a platform code of its own and a Chinese complaint class."""
    codes = [category.platform_code for category in Category]
    assert len(set(codes)) == len(Category)
    assert all(re.fullmatch(r"JB-\d{2}", code) for code in codes)
    assert all(re.search(r"[\u4e00-\u9fff]", category.complaint_class) for category in Category)
