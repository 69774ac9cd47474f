"""Sentences of the kernel are found among the templates of the catalogue and said in Czech."""

from __future__ import annotations

import time

import pytest
from django.utils import translation

from kvit.web.sentences import LONGEST, translated


@pytest.mark.parametrize(
    ("sentence", "czech"),
    [
        ("The row has an income and an expense.", "Řádek má příjem i výdaj."),
        ("“12,x” is not an amount.", "„12,x“ není částka."),
        ("The movement has no date.", "Pohyb nemá datum."),
        ("The movement is in EUR, the statement in CZK.", "Pohyb je v EUR, výpis v CZK."),
        ("The movement is in {0}, the statement in {x}.", "Pohyb je v {0}, výpis v {x}."),
        ("", ""),
        ("Nobody ever wrote this sentence.", "Nobody ever wrote this sentence."),
    ],
)
def test_a_finished_sentence_is_said_in_czech(sentence: str, czech: str) -> None:
    with translation.override("cs"):
        assert translated(sentence) == czech
    with translation.override("en"):
        assert translated(sentence) == sentence


def test_no_text_keeps_the_page_waiting() -> None:
    """A file chooses what is quoted in a sentence."""
    with translation.override("cs"):
        translated("“” is not an amount.")
        started = time.process_time()
        for filling in (" and ", " in the ", ": ", "“", ", the "):
            text = "The " + filling * (LONGEST // len(filling))
            assert translated(text[:LONGEST]) == text[:LONGEST]
        assert time.process_time() - started < 1
