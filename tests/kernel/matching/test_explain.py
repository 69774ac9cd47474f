"""Reasons: every code has its words, and a reference is found where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kvit.kernel.matching
import kvit.matching
from kvit.kernel.matching import Reason, Span, located
from kvit.kernel.matching.explain import WORDS, sentence
from tests.kernel.matching.cases import decided, invoice, payment

SOURCES = Path(kvit.kernel.matching.__file__).parent
APPLICATION = Path(kvit.matching.__file__).parent
CODE = re.compile(r'"([a-z]+\.[a-z_]+)"')


def test_every_code_that_the_kernel_gives_has_words_and_no_words_are_left_over() -> None:
    by_kernel = {code for path in SOURCES.glob("*.py") if path.name != "explain.py" for code in _codes(path)}
    by_application = {code for path in APPLICATION.glob("*.py") for code in _codes(path)}
    assert by_kernel <= set(WORDS)
    assert set(WORDS) <= by_kernel | by_application


def _codes(path: Path) -> list[str]:
    return CODE.findall(path.read_text(encoding="utf-8"))


def test_a_sentence_holds_the_values() -> None:
    verdict = decided(payment(), invoice())
    assert [sentence(reason) for reason in verdict.because] == [
        "The reference 2026001 names 2026-001 and nothing else.",
        "The amount is 10.00 CZK, exactly what is open.",
    ]


@pytest.mark.parametrize(
    ("symbol", "texts", "found"),
    [
        (" 0002026001", (), ("variable_symbol", "0002026001")),
        ("", ("VS:0002026001 díky",), ("message", "0002026001")),
        ("", ("Úhrada č. 2026-\n001!",), ("message", "2026-\n001")),
        ("", ("120260012", "fa 2026 001"), ("reference", "2026 001")),
        ("", ("RF60 2026 001", ""), ("message", "RF60 2026 001")),
    ],
)
def test_a_reference_is_located_in_the_raw_text(
    symbol: str, texts: tuple[str, ...], found: tuple[str, str]
) -> None:
    paid = payment(symbol, *texts)
    span = located(decided(paid, invoice()).because[0], paid)
    assert span is not None
    raw = paid.variable_symbol if span.field == "variable_symbol" else texts[paid.fields.index(span.field)]
    assert (span.field, raw[span.start : span.end]) == found


def test_what_names_no_reference_stands_nowhere() -> None:
    assert located(Reason("symbol.none"), payment("", "2026")) is None
    assert located(Reason("symbol.unknown", {"symbol": "77"}), payment("", "5577")) is None
    assert located(Reason("symbol.unknown", {"symbol": "77"}), payment("", "a77")) == Span("message", 1, 3)
