"""Collect every text a person may see into the Czech catalogue, and compile it.

Texts are English in the code. They come from gettext calls, from templates, from the messages of errors
(the first text given to a class of the error tree, or its docstring), from the reasons of matching, and from
what plugins say about themselves and their fields. GNU gettext is not needed.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import django
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po, write_po
from django.conf import settings

from scripts.build_catalogs import compile_catalogs

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "src" / "kvit"
CATALOGUE: Final = SOURCE / "locale" / "cs" / "LC_MESSAGES" / "django.po"

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

type Message = str | tuple[str, ...]

_SINGULAR: Final = {"_", "gettext", "gettext_lazy", "gettext_noop"}
_PLURAL: Final = {"ngettext", "ngettext_lazy"}
_IN_TEMPLATES: Final = {
    "gettext": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "_": None,
}
_SAID_BY_PLUGINS: Final = {"title", "description"}


def main() -> int:
    catalogue = merged()
    with CATALOGUE.open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalogue, width=100, sort_output=True, no_location=True, omit_header=True)
    compile_catalogs(ROOT)
    missing = untranslated(catalogue)
    for message in missing:
        print(f"not translated: {message}")
    print(f"{len(catalogue)} texts, {len(missing)} not translated: {CATALOGUE.relative_to(ROOT)}")
    return 1 if missing else 0


def merged() -> Catalog:
    """The catalogue with exactly the texts of today's code; translations are kept, never guessed."""
    with CATALOGUE.open("rb") as file:
        known = read_po(file, locale="cs")
    fresh = Catalog(locale="cs", fuzzy=False)
    for message in sorted(set(texts()), key=lambda text: (text,) if isinstance(text, str) else text):
        old = known.get(message)
        fresh.add(message, old.string if old else None)
    return fresh


def untranslated(catalogue: Catalog) -> list[str]:
    """The texts without a whole translation."""
    return [
        str(message.id)
        for message in catalogue
        if message.id and not all(message.string if isinstance(message.string, tuple) else [message.string])
    ]


def texts() -> Iterator[Message]:
    """Every text of the product, in English."""
    errors = set(_error_classes())
    for path in sorted(SOURCE.rglob("*.py")):
        if "migrations" not in path.parts and "cli" not in path.parts:
            yield from _texts_of_module(ast.parse(path.read_text(encoding="utf-8")), errors)
    for path in sorted(SOURCE.rglob("*.html")):
        yield from _texts_of_template(path)


def _error_classes() -> Iterator[str]:
    for path in (SOURCE / "kernel" / "errors.py", SOURCE / "sync" / "engine.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name


def _texts_of_module(tree: ast.Module, errors: set[str]) -> Iterator[Message]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield from _texts_of_call(node, name, errors)
            case ast.ClassDef(name=name) if name in errors:
                yield " ".join((ast.get_docstring(node) or "").split())
            case ast.ClassDef(bases=[*_, ast.Subscript(value=ast.Name(id="Plugin"))]):
                yield from _texts_of_plugin(node)
            case ast.AnnAssign(target=ast.Name(id="WORDS"), value=ast.Dict(values=values)):
                yield from filter(None, map(_text, values))


def _texts_of_call(call: ast.Call, name: str, errors: set[str]) -> Iterator[Message]:
    given = [_text(argument) for argument in call.args]
    if name in _PLURAL and len(given) >= 2 and given[0] and given[1]:
        yield (given[0], given[1])
    elif name in _SINGULAR and given and given[0]:
        yield given[0]
    elif name in errors:
        yield from filter(None, given[:2])
    elif name == "field":
        yield from filter(None, given[:1])
        yield from filter(None, (_text(word.value) for word in call.keywords if word.arg == "help"))


def _texts_of_plugin(node: ast.ClassDef) -> Iterator[Message]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _SAID_BY_PLUGINS:
                yield from filter(None, [_text(value)])


def _text(node: ast.expr) -> str | None:
    """The literal text of an expression, if it is one."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _texts_of_template(path: Path) -> Iterator[Message]:
    from django.utils.translation.template import templatize

    code = templatize(path.read_text(encoding="utf-8"), origin=str(path))
    for _, _, message, _ in extract_python(io.BytesIO(code.encode()), _IN_TEMPLATES, [], {}):
        if isinstance(message, str):
            yield message
        else:
            yield tuple(part for part in message if part)


if __name__ == "__main__":
    settings.configure(USE_I18N=True)
    django.setup()
    sys.exit(main())
