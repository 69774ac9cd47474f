"""Write docs/plugin-rules.md from the contract tests: `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from kvit.testing import PluginContract
from kvit.testing.describing import Describing
from kvit.testing.failing import Failing
from kvit.testing.handing import Handing
from kvit.testing.reading import Reading
from kvit.testing.resuming import Resuming
from kvit.testing.rules import Rule, rules_of

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "plugin-rules.md"
CHAPTERS: Final[dict[str, type]] = {
    "What the plugin is": Describing,
    "What it tells": Reading,
    "Killed and cancelled": Resuming,
    "When the source fails": Failing,
    "Messages and payment orders": Handing,
}
HEAD: Final = """# The rules of the contract

`kvit.testing.PluginContract` tries {count} rules on a plugin, against a pretend bank that the kit fills with
movements chosen to hurt and changes between syncs. It uses no network and no database, and nothing waits.
`kvit plugin test NAME` runs it, and so does pytest; [Writing a plugin](writing-a-plugin.md) shows how. This
page is made by `python -m scripts.plugin_rules`.

A rule that cannot hold for a source is exempt, with the reason: `exempt = {{"throttled": "…"}}` in the
contract and `throttled = {{ exempt = "…" }}` in `quality.toml`. Rules about requests are exempt by themselves
where a plugin sends none (`reads_http = False`).

How `kvit plugin test NAME` finds the contract: in `test_MODULE.py`, `test_kvit_NAME.py`, `test_NAME.py` or
`test_NAME_contract.py`, beside the plugin's module, in a folder `tests` there, in the present folder or in
its `tests`. `NAME` may also be the path of the plugin's file or of the test.
"""


def main(arguments: Sequence[str]) -> int:
    if "--check" in arguments:
        is_same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        print("The rules are as the code." if is_same else "docs/plugin-rules.md is not as the code.")
        return 0 if is_same else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD.format(count=len(rules_of(PluginContract))), *_chapters()])


def _chapters() -> Iterator[str]:
    told: set[str] = set()
    for title, group in CHAPTERS.items():
        rules = rules_of(group).values()
        told.update(rule.name for rule in rules)
        yield from _chapter(title, rules)
    rest = [rule for rule in rules_of(PluginContract).values() if rule.name not in told]
    yield from _chapter("The contract itself", rest)


def _chapter(title: str, rules: Iterable[Rule]) -> Iterator[str]:
    yield f"## {title}\n"
    for rule in rules:
        yield from _told(rule)


def _told(rule: Rule) -> Iterator[str]:
    yield f"### `{rule.name}`\n"
    yield f"{rule.sentence}{_scope(rule)}\n"
    yield f"**Why.** {rule.why}\n"
    yield f"**Mend it.** {rule.mend}\n"


def _scope(rule: Rule) -> str:
    if rule.needs is not None:
        return f" (For a plugin with `{rule.needs.__name__}`.)"
    return " (For a plugin that sends HTTP requests.)" if rule.needs_http else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
