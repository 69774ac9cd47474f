"""Kvit's own JSON: the shape of `kvit parse-statement --json`, one entry on a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from kvit.kernel.statements.parsing import Event
from kvit.kernel.statements.plain import as_json, entry_as_json, statement_as_json
from kvit.kernel.statements.values import StatementFile
from kvit.kernel.statements.writing.outline import Outline, with_entries


def written(outline: Outline, events: Iterable[Event]) -> Iterator[str]:
    rest = as_json(_without_entries(outline))
    yield f'{{"format": {_text(rest.pop("format"))}, "statements": ['
    for number, (statement, chunks) in enumerate(with_entries(outline, events)):
        head = _text(statement_as_json(statement.head))
        yield f'{"," if number else ""}\n{head[:-1]}, "entries": ['
        between = "\n"
        for chunk in chunks:
            yield between + ",\n".join(_text(entry_as_json(entry)) for entry in chunk)
            between = ",\n"
        yield "]}"
    rest.pop("statements")
    yield f"],\n{_text(rest)[1:]}\n"


def _without_entries(outline: Outline) -> StatementFile:
    formats = list(dict.fromkeys(each.head.format for each in outline.statements))
    return StatementFile(
        format=formats[0] if len(formats) == 1 else "zip" if formats else "",
        statements=(),
        warnings=tuple(outline.warnings),
        errors=tuple(outline.errors),
        order_statuses=tuple(outline.order_statuses),
    )


def _text(values: object) -> str:
    return json.dumps(values, ensure_ascii=False)
