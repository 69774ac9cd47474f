"""Write docs/plugin-reference.md from the code of `kvit.plugin`: `--check` only compares.

It reads the source, so that also the text below a field, which Python forgets, is in the reference.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import kvit.plugin

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "plugin-reference.md"
CHAPTERS: Final = {
    "kvit/plugin/base.py": "The plugin",
    "kvit/plugin/fields.py": "The form of a connection",
    "kvit/plugin/secrets.py": "Credentials",
    "kvit/plugin/items.py": "What a plugin yields",
    "kvit/plugin/engine.py": "What the engine gives",
    "kvit/kernel/errors.py": "Errors",
    "kvit/plugin/consent.py": "Consent and OAuth",
    "kvit/plugin/webhook.py": "Webhooks",
    "kvit/plugin/push.py": "Payment orders",
    "kvit/plugin/statements.py": "Statement files",
    "kvit/testing/bank.py": "The pretend bank",
    "kvit/testing/contract.py": "The contract as tests",
}
"""The modules that `kvit.plugin` takes its names from, in the order of the page, then those of their own."""
ON_THEIR_OWN: Final = ("kvit/plugin/statements.py",)
"""Modules that plugins import by their name, since they need parsers that other plugins do without."""
OF_TESTS: Final = ("Movement", "PluginContract", "PretendAccount", "PretendBank", "serving", "utc")
"""What tests import from `kvit.testing`."""
HEAD: Final = """# Plugin reference

Everything that a plugin imports from `kvit.plugin`, as the code tells it (plugin API {version}), what plugins
that read statement files import from `kvit.plugin.statements`, and at the end what tests import from
`kvit.testing`.
[Writing a plugin](writing-a-plugin.md) shows how it is used. This page is made by
`python -m scripts.plugin_reference`.
"""

type _Definition = ast.ClassDef | ast.FunctionDef | ast.TypeAlias | ast.AnnAssign | ast.Assign


def main(arguments: Sequence[str]) -> int:
    if "--check" in arguments:
        is_same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        print("The reference is as the code." if is_same else "docs/plugin-reference.md is not as the code.")
        return 0 if is_same else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """Return the whole page. Raises LookupError where an exported name is defined in no chapter."""
    told: set[str] = set()
    parts = [HEAD.format(version=kvit.plugin.API_VERSION)]
    for path, title in CHAPTERS.items():
        found = [item for item in _definitions(path) if _is_public(path, item.name)]
        told.update(item.name for item in found)
        parts += [f"## {title}\n", _opening(path), *map(_section, found)]
    missing = {*kvit.plugin.__all__, *OF_TESTS} - told
    if missing:
        raise LookupError(f"No chapter defines {', '.join(sorted(missing))}.")
    return "\n".join(part for part in parts if part)


def _is_public(path: str, name: str) -> bool:
    if path.startswith("kvit/testing/"):
        return name in OF_TESTS
    return not name.startswith("_") if path in ON_THEIR_OWN else name in kvit.plugin.__all__


@dataclass(frozen=True, slots=True)
class _Named:
    """A definition at the top of a module, and the text that follows it where it is a value."""

    name: str
    node: _Definition
    text: str = ""


def _definitions(path: str) -> Iterator[_Named]:
    body = _tree(path).body
    for node, text in _with_texts(body):
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                yield _Named(node.name, node)
            case ast.AnnAssign(target=ast.Name() as target) | ast.TypeAlias(name=target):
                yield _Named(target.id, node, text)


def _with_texts(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each statement with the string that stands alone below it, if one does."""
    for node, below in zip(body, [*body[1:], None], strict=True):
        text = ""
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            text = inspect.cleandoc(str(below.value.value))
        yield node, text


def _opening(path: str) -> str:
    if path.startswith("kvit/kernel/"):
        return ""
    return f"{ast.get_docstring(_tree(path)) or ''}\n"


def _section(item: _Named) -> str:
    node = item.node
    lines = [f"### `{item.name}`", ""]
    match node:
        case ast.ClassDef():
            lines += [*_class(node)]
        case ast.FunctionDef():
            lines += [*_code(_signature(node)), *_paragraphs(ast.get_docstring(node))]
        case _:
            lines += [*_code(ast.unparse(node)), *_paragraphs(item.text)]
    return "\n".join(lines)


def _class(node: ast.ClassDef) -> Iterator[str]:
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    yield from _code("\n".join([*decorators, _class_line(node)]))
    yield from _paragraphs(ast.get_docstring(node))
    yield from _fields(node)
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and _is_told(member):
            yield f"#### `{node.name}.{member.name}`"
            yield ""
            marks = [f"@{ast.unparse(decorator)}" for decorator in member.decorator_list]
            yield from _code("\n".join([*marks, _signature(member)]))
            yield from _paragraphs(ast.get_docstring(member))


def _is_told(member: ast.FunctionDef) -> bool:
    """Whether the method says something of its own; what it only inherits is told where it comes from."""
    is_public = member.name == "__init__" or not member.name.startswith(("_", "test_"))
    return is_public and ast.get_docstring(member) is not None


def _class_line(node: ast.ClassDef) -> str:
    parameters = f"[{', '.join(ast.unparse(one) for one in node.type_params)}]" if node.type_params else ""
    bases = f"({', '.join(ast.unparse(base) for base in node.bases)})" if node.bases else ""
    return f"class {node.name}{parameters}{bases}"


def _fields(node: ast.ClassDef) -> Iterator[str]:
    fields = [
        (member, text)
        for member, text in _with_texts(node.body)
        if isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_")
    ]
    for member, text in fields:
        first, *rest = text.split("\n")
        yield f"- `{ast.unparse(member)}`" + (f": {first}" if first else "")
        yield from (f"  {line}".rstrip() for line in rest)
    if fields:
        yield ""


def _signature(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = list(_arguments(node.args))
    line = f"def {node.name}({', '.join(arguments)}){returns}"
    if len(line) <= 100:
        return line
    return f"def {node.name}(\n    {',\n    '.join(arguments)},\n){returns}"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """Yield each argument as people write it, with spaces around the sign before its default."""
    plain = [ast.arg(one.arg, one.annotation) for one in (*arguments.posonlyargs, *arguments.args)]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for one, default in zip(plain, defaults, strict=True):
        yield _argument(one, default)
    if arguments.kwonlyargs:
        yield "*"
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(one, default)


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(one) + ("" if default is None else f" = {ast.unparse(default)}")


def _code(text: str) -> Iterator[str]:
    yield from ("```python", text, "```", "")


def _paragraphs(text: str | None) -> Iterator[str]:
    if text:
        yield from (text, "")


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / "src" / path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
