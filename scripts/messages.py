"""Collect every text a person may see into the Czech catalogue, and compile it.

Texts are English in the code. They come from gettext calls, from templates, from the messages of errors
(the first text given to a class of the error tree, or its docstring, or the table of files that are no
statements), from the sentences of the statement readers, from the reasons of matching, and from what plugins
say about themselves and their fields. A bundled plugin has a catalogue of its own, in its folder.
GNU gettext is not needed.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import django
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.conf import settings

from scripts.build_catalogs import compile_catalogs

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "src" / "kvit"
STATEMENTS: Final = SOURCE / "kernel" / "statements"
PLUGINS: Final = SOURCE / "plugins"
IN_CZECH: Final = Path("locale", "cs", "LC_MESSAGES", "django.po")

HEADER: Final = """\
# Kvit in Czech.
msgid ""
msgstr ""
"Language: cs\\n"
"Plural-Forms: nplurals=3; plural=((n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2);\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""

_SENTENCE: Final = re.compile(r"[A-Z“{].* .*[\w”})]\.", re.DOTALL)
_SINGULAR: Final = {"_", "gettext", "gettext_lazy", "gettext_noop"}
_PLURAL: Final = {"ngettext", "ngettext_lazy"}
_IN_CONTEXT: Final = {"pgettext", "pgettext_lazy"}
_PLURAL_IN_CONTEXT: Final = {"npgettext", "npgettext_lazy"}
_CALLS: Final = _SINGULAR | _PLURAL | _IN_CONTEXT | _PLURAL_IN_CONTEXT
_IN_TEMPLATES: Final = {
    "gettext": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "_": None,
}
_SAID_BY_PLUGINS: Final = {"title", "description", "guide"}


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """One English text as gettext knows it."""

    one: str
    many: str = ""
    """The plural; empty where the text has none."""
    context: str = ""
    """What tells the text apart from the same one elsewhere; mostly empty."""

    @property
    def message(self) -> str | tuple[str, str]:
        """Return the text as a catalogue writes it."""
        return (self.one, self.many) if self.many else self.one


def main() -> int:
    count = sum(_collect(home) for home in homes())
    compile_catalogs(ROOT)
    return 1 if count else 0


def homes() -> list[Path]:
    """The folders with a catalogue of their own: Kvit, and each bundled plugin."""
    return [SOURCE, *sorted(path.parent for path in PLUGINS.glob("*/__init__.py"))]


def merged(home: Path) -> Catalog:
    """The catalogue with exactly the texts of today's code; translations are kept, never guessed."""
    known = _known(home)
    fresh = Catalog(locale="cs", fuzzy=False)
    for text in sorted(set(texts(home))):
        context = text.context or None
        old = known.get(text.message, context)
        kept = old.string if old and isinstance(old.string, str) is not bool(text.many) else None
        fresh.add(text.message, kept, context=context)
    return fresh


def written(catalogue: Catalog) -> bytes:
    """Return the catalogue as its file holds it."""
    file = io.BytesIO(HEADER.encode())
    file.seek(0, io.SEEK_END)
    write_po(file, catalogue, width=100, sort_output=True, no_location=True, omit_header=True)
    return file.getvalue()


def untranslated(catalogue: Catalog) -> list[str]:
    """The texts without a whole translation."""
    return [
        str(message.id)
        for message in catalogue
        if message.id and not all(message.string if isinstance(message.string, tuple) else [message.string])
    ]


def texts(home: Path) -> Iterator[Text]:
    """Every text that the catalogue of a folder holds, in English."""
    errors = set(_error_classes())
    others = [other for other in homes() if other != home and other.is_relative_to(home)]
    for path in sorted(home.rglob("*.py")):
        is_elsewhere = any(path.is_relative_to(other) for other in others)
        if not is_elsewhere and not {"migrations", "cli", "testing"} & set(path.parts):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from _texts_of_module(tree, errors)
            if path.is_relative_to(STATEMENTS):
                yield from _sentences(tree)
    yield from _reasons_of_quality(home / "quality.toml")
    for path in sorted(home.rglob("*.html")):
        yield from _texts_of_template(path)


def _collect(home: Path) -> int:
    """Write the folder's catalogue anew and return how many texts wait for a translation."""
    catalogue = merged(home)
    path = home / IN_CZECH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(catalogue))
    missing = untranslated(catalogue)
    for message in missing:
        print(f"not translated: {message}")
    print(f"{len(catalogue)} texts, {len(missing)} not translated: {path.relative_to(ROOT)}")
    return len(missing)


def _known(home: Path) -> Catalog:
    path = home / IN_CZECH
    if not path.exists():
        return Catalog(locale="cs")
    with path.open("rb") as file:
        return read_po(file, locale="cs")


def _reasons_of_quality(path: Path) -> Iterator[Text]:
    """Why a plugin leaves a rule open; the catalogue of plugins shows it."""
    if path.exists():
        for mark in tomllib.loads(path.read_text(encoding="utf-8"))["rules"].values():
            yield from map(Text, mark.values() if isinstance(mark, dict) else ())


def _error_classes() -> Iterator[str]:
    for path in (SOURCE / "kernel" / "errors.py", SOURCE / "sync" / "engine.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name


def _texts_of_module(tree: ast.Module, errors: set[str]) -> Iterator[Text]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield from _texts_of_call(node, name, errors)
            case ast.ClassDef(name=name) if name in errors:
                yield Text(" ".join((ast.get_docstring(node) or "").split()))
            case ast.ClassDef(bases=[*_, ast.Subscript(value=ast.Name(id="Plugin"))]):
                yield from _texts_of_plugin(node)
            case ast.AnnAssign(target=ast.Name(id="WORDS"), value=ast.Dict(values=values)):
                yield from map(Text, filter(None, map(_text, values)))
            case ast.Assign(targets=[ast.Name(id="_KNOWN_STRANGERS")], value=table):
                yield from map(Text, filter(None, map(_text, _expressions(table))))


def _texts_of_call(call: ast.Call, name: str, errors: set[str]) -> Iterator[Text]:
    given = [_text(argument) for argument in call.args]
    if name in _CALLS:
        yield from _text_of_gettext(name, given)
    elif name in errors:
        yield from map(Text, filter(None, given[:2]))
    elif name == "field":
        yield from map(Text, filter(None, given[:1]))
        yield from map(
            Text, filter(None, (_text(word.value) for word in call.keywords if word.arg == "help"))
        )


def _text_of_gettext(name: str, given: Sequence[str | None]) -> Iterator[Text]:
    """The text of a call of gettext by its arguments; none where the text is not written there."""
    match [name, *given]:
        case [_, str(one), *_] if name in _SINGULAR:
            yield Text(one)
        case [_, str(one), str(many), *_] if name in _PLURAL:
            yield Text(one, many)
        case [_, str(context), str(one), *_] if name in _IN_CONTEXT:
            yield Text(one, context=context)
        case [_, str(context), str(one), str(many), *_] if name in _PLURAL_IN_CONTEXT:
            yield Text(one, many, context)


def _texts_of_plugin(node: ast.ClassDef) -> Iterator[Text]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                given = [(name, value)]
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                given = [
                    (one.id, value)
                    for one, value in zip(names, values, strict=True)
                    if isinstance(one, ast.Name)
                ]
            case _:
                given = []
        for name, value in given:
            for part in value.elts if isinstance(value, ast.Tuple) else [value]:
                text = _text(part)
                if name in _SAID_BY_PLUGINS and text:
                    yield Text(text)


def _sentences(tree: ast.Module) -> Iterator[Text]:
    """The sentences in the code of a statement reader, which tells problems in them; not its docstrings."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) not in inner and isinstance(node, ast.Constant | ast.JoinedStr):
            text = _template_of(node) if isinstance(node, ast.JoinedStr) else _text(node)
            if text and _SENTENCE.fullmatch(text):
                yield Text(text)


def _template_of(node: ast.JoinedStr) -> str:
    """An f-string as a template: a part is called by its last name, or “value”; the second one gets a 2."""
    text, seen = "", list[str]()
    for part in node.values:
        if not isinstance(part, ast.FormattedValue):
            text += _text(part) or ""
            continue
        match part.value:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                seen.append(name.lstrip("_"))
            case _:
                seen.append("value")
        count = seen.count(seen[-1])
        text += f"{{{seen[-1]}{count if count > 1 else ''}}}"
    return text


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    return (part for part in ast.walk(node) if isinstance(part, ast.expr))


def _text(node: ast.expr) -> str | None:
    """The literal text of an expression, if it is one."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _texts_of_template(path: Path) -> Iterator[Text]:
    from django.utils.translation.template import templatize

    code = templatize(path.read_text(encoding="utf-8"), origin=str(path))
    for _, message, _, context in extract("python", io.BytesIO(code.encode()), keywords=_IN_TEMPLATES):
        one, many = (message, "") if isinstance(message, str) else message
        yield Text(one, many, context or "")


if __name__ == "__main__":
    settings.configure(USE_I18N=True)
    django.setup()
    sys.exit(main())
