"""Sentences that the kernel has finished in English, said in the reader's language.

The kernel knows no language, and what is wrong in a statement file reaches the pages as whole sentences. Each
was made of a template that the catalogue has; its fixed words tell which, and it is filled in again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Final

from babel.messages.mofile import read_mo
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

LONGEST: Final = 400
"""A longer text is no sentence of ours, and looking for its template would take too long."""
_FEWEST_LETTERS: Final = 10
"""A template with fewer fixed letters, such as `{file}: {reason}`, would fit too much."""


def translated(sentence: str) -> str:
    """Return the sentence in the reader's language; one that no template fits stays as it is."""
    said = gettext(sentence) if sentence else ""
    if said != sentence or len(sentence) > LONGEST or translation.get_language() == "en":
        return said
    for template in _templates():
        values = template.values(sentence)
        if values is not None:
            return gettext(template.text).format(**values)
    return sentence


@dataclass(frozen=True, slots=True)
class _Template:
    """A text with named parts; its beginning and end are tried before the expression is."""

    text: str
    beginning: str
    end: str
    expression: re.Pattern[str]

    def values(self, sentence: str) -> Mapping[str, str] | None:
        """Return what stands for the named parts, or None where the sentence is not made of it."""
        if not sentence.startswith(self.beginning) or not sentence.endswith(self.end):
            return None
        found = self.expression.fullmatch(sentence)
        return None if found is None else found.groupdict()


@cache
def _templates() -> tuple[_Template, ...]:
    """The templates of the catalogue, those with the most fixed letters first."""
    path = Path(settings.LOCALE_PATHS[0]) / "cs" / "LC_MESSAGES" / "django.mo"
    with path.open("rb") as file:
        texts = [message.id for message in read_mo(file) if isinstance(message.id, str)]
    fixed = {text: _fixed(text) for text in texts if "{" in text}
    long_enough = [text for text, words in fixed.items() if _letters(words) >= _FEWEST_LETTERS]
    return tuple(_template(text) for text in sorted(long_enough, key=lambda text: -_letters(fixed[text])))


def _fixed(text: str) -> list[str]:
    """What stands around the named parts; the first and the last may be empty."""
    parts = list(Formatter().parse(text))
    return [*(words for words, _name, _spec, _conversion in parts), *([""] if parts[-1][1] else [])]


def _letters(fixed: list[str]) -> int:
    return sum(character.isalpha() for words in fixed for character in words)


def _template(text: str) -> _Template:
    fixed, expression, seen = _fixed(text), "", set[str]()
    for words, name, _spec, _conversion in Formatter().parse(text):
        expression += re.escape(words)
        if name is not None:
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>.*?)"
            seen.add(name)
    return _Template(text, fixed[0], fixed[-1], re.compile(expression, re.DOTALL))
