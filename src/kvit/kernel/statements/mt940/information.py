"""The information to the owner (:86:, at some banks :NS:): every bank's own way to say who paid and why.

Four shapes occur. *Coded*: subfields behind a separator and two digits (`?20` in Germany, Austria, Czechia
and Slovakia, `<20` and `~20` in Poland, `>20` at Triodos), from annex 3 of the German banks' DFÜ agreement.
*Named*: ISO words between slashes (`/EREF/1/NAME/...`, the Dutch banks). *Numbered*: lines that begin with
two digits (:NS:). Everything else is plain text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import Symbols, find_symbols, one_line

_SHAPE = re.compile(r"\s{0,9}(?:/[A-Z]{2,9}/|[0-9A-Z]{0,3}([?<>~^@#])(?=[0-9]{2}))")
_WORDS = (
    "ADDR|BBAN|BENM|BIC|CDTRREF|CDTRREFTP|CNTP|CREDNM|CSID|EREF|IBAN|ID|IREF|ISDT|KREF|MARF|NAME|NRTX|ORDP|"
    "PREF|PURP|REMI|RTRN|SVCL|TRCD|TRTP|ULTB|ULTC|ULTD"
)
_WORD = re.compile(rf"/({_WORDS})/")
_SEPA_WORD = re.compile(r"(?<![A-Z])(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC)\+")
_SYMBOL = re.compile(r"(VS|KS|SS)[:. ]{0,2}([0-9]{1,10})")
_NUMBERED_LINE = re.compile(r"([0-9]{2})(.*)")
_MESSAGE_CODES: Final = (*range(20, 30), *range(60, 66))
_POLISH_MESSAGE_CODES: Final = range(20, 26)
"""The Polish banks repeat the other party in 26 to 29."""
_NUMBERED_MESSAGE: Final = tuple(range(1, 15))
_FULL_SUBFIELD: Final = 27
_FULL_LINE: Final = 65
_NO_SYMBOLS: Final = Symbols()
_NO_REFERENCE: Final = frozenset({"NOTPROVIDED", "NONREF", "NOTPROVIDE"})


class Information(NamedTuple):
    """What the text says of a movement; absent text is empty."""

    message: str = ""
    name: str = ""
    account: str = ""
    reference: str = ""
    symbols: Symbols = _NO_SYMBOLS


def information_of(text: str) -> Information:
    """Read the text of :86: in whichever shape it is."""
    shape = _SHAPE.match(text)
    if shape is None:
        return _plain(text)
    return _coded(text[shape.end() :], shape[1]) if shape[1] else _named(text)


class Columns(NamedTuple):
    """What the texts of many movements say, column by column."""

    messages: list[str]
    names: list[str]
    accounts: list[str]
    references: list[str]
    variable_symbols: list[str]
    constant_symbols: list[str]
    specific_symbols: list[str]


def information_columns(tagged: list[tuple[str, str]]) -> Columns:
    """Read the texts of many movements, each with its tag (`86`, `NS` or none)."""
    texts = [text.strip() for _, text in tagged]
    if "NS" in {tag for tag, _ in tagged} or not _are_plain(texts):
        return _columns([_information(tag, text) for tag, text in tagged])
    blank = [""] * len(texts)
    return Columns(texts, blank[:], blank[:], blank, blank, blank, blank)


def _are_plain(texts: list[str]) -> bool:
    """Whether every text is one line of words and neither holds symbols nor has a shape."""
    everything = "".join(texts)
    return (
        everything.isprintable()
        and "  " not in everything
        and not _may_hold_symbols(everything)
        and not any(map(_SHAPE.match, texts))
    )


def _columns(information: list[Information]) -> Columns:
    return Columns(
        messages=[each.message for each in information],
        names=[each.name for each in information],
        accounts=[each.account for each in information],
        references=[each.reference for each in information],
        variable_symbols=[each.symbols.variable for each in information],
        constant_symbols=[each.symbols.constant for each in information],
        specific_symbols=[each.symbols.specific for each in information],
    )


def _information(tag: str, text: str) -> Information:
    return numbered_information(text) if tag == "NS" else information_of(text)


def numbered_information(text: str) -> Information:
    """Read the text of :NS: (01-14 purpose, 15-16 name, 33 bank, 34 account)."""
    values: dict[int, str] = {}
    for line in text.split("\n"):
        if match := _NUMBERED_LINE.match(line):
            values.setdefault(int(match[1]), match[2].strip())
    message = one_line(*(values.get(code, "") for code in _NUMBERED_MESSAGE))
    return Information(
        message=message,
        name=one_line(values.get(15, ""), values.get(16, "")),
        account=_account(values.get(34, ""), values.get(33, "")),
        symbols=_symbols((message,)),
    )


def _plain(text: str) -> Information:
    message = one_line(_unbroken(text))
    return Information(message, symbols=_symbols((message,)))


def _coded(text: str, separator: str) -> Information:
    values: dict[int, str] = {}
    for subfield in text.replace("\n", "").split(separator):
        code = subfield[:2]
        if code.isascii() and code.isdigit():
            values.setdefault(int(code), subfield[2:])
        elif values:
            # The separator was a character of the text.
            last = next(reversed(values))
            values[last] += separator + subfield
    codes = _POLISH_MESSAGE_CODES if separator == "<" else _MESSAGE_CODES
    texts = [values[code] for code in codes if code in values]
    purpose = _joined(texts)
    words = _by_words(purpose, _SEPA_WORD)
    return Information(
        message=one_line(words.get("SVWZ", "") or (purpose if not words else words.get("", ""))),
        name=one_line(_joined([values.get(32, ""), values.get(33, "")])),
        account=_account(values.get(38, "") or values.get(31, ""), values.get(30, "")),
        reference=_reference(words.get("EREF", "")),
        symbols=_symbols((*texts, purpose)),
    )


def _named(text: str) -> Information:
    unbroken = text.replace("\n", "")
    words = _by_words(unbroken, _WORD)
    account, _, rest = words.get("CNTP", "").partition("/")
    name = rest.split("/")[1] if "/" in rest else ""
    message = words.get("REMI", "").removeprefix("USTD//").strip("/")
    return Information(
        message=one_line(message or words.get("CDTRREF", "") or unbroken),
        name=one_line(words.get("NAME", "") or name),
        account=account_of_text(words.get("IBAN", "") or account),
        reference=_reference(words.get("EREF", "").strip("/")),
        symbols=_symbols((unbroken,)),
    )


def _by_words(text: str, word: re.Pattern[str]) -> dict[str, str]:
    """Return what stands behind each word, where it stands first with a value; `""` is before all of them."""
    before, *parts = word.split(text)
    values = {"": before.strip()} if before.strip() else {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        if value.strip(" /"):
            values.setdefault(name, value.strip())
    return values


def _joined(texts: list[str]) -> str:
    """Join subfields: a full one was cut wherever it was, a shorter one ended with a word."""
    joined = ""
    for text in texts:
        joined += text if len(text) >= _FULL_SUBFIELD else f"{text} "
    return joined


def _unbroken(text: str) -> str:
    """Join lines: a full one was cut wherever it was, a shorter one ended with a word."""
    if "\n" not in text:
        return text
    return "".join(line if len(line) >= _FULL_LINE else f"{line} " for line in text.split("\n"))


def _symbols(texts: tuple[str, ...]) -> Symbols:
    """Find the Czech symbols; a subfield of its own may write them without a colon (`VS0002026001`)."""
    if not any(map(_may_hold_symbols, texts)):
        return _NO_SYMBOLS
    written = [f"{match[1]}:{match[2]}" for text in texts if (match := _SYMBOL.fullmatch(text.strip()))]
    return find_symbols((*written, *texts))[0]


def _may_hold_symbols(text: str) -> bool:
    return "VS" in text or "KS" in text or "SS" in text


def _account(number: str, bank: str) -> str:
    """Write an IBAN as it is and a domestic number with its bank code, `number/bank code`."""
    compact = "".join(number.split())
    if not compact.strip("0") or not compact.isdigit():
        return compact.strip() if compact.strip("0") else ""
    return account_of_text(compact, bank if bank.isascii() and bank.isdigit() else "")


def _reference(text: str) -> str:
    reference = text.strip()
    return "" if reference.upper() in _NO_REFERENCE else reference
