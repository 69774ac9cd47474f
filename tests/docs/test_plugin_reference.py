from __future__ import annotations

import re

import pytest

import kvit.plugin
import kvit.testing
from scripts import plugin_reference


def test_the_reference_is_as_the_code() -> None:
    assert plugin_reference.PAGE.read_text(encoding="utf-8") == plugin_reference.page()


def test_the_reference_holds_every_name_of_the_contract_once() -> None:
    contract, _, statements = plugin_reference.page().partition("## Statement files")
    assert sorted(_headings(contract)) == sorted(kvit.plugin.__all__)
    assert "read_statements" in _headings(statements)
    assert {"PretendBank", "PretendAccount", "Movement", "PluginContract"} <= set(_headings(statements))
    assert set(plugin_reference.OF_TESTS) <= set(kvit.testing.__all__)


def _headings(text: str) -> list[str]:
    return re.findall(r"^### `(\w+)`$", text, re.MULTILINE)


def test_it_tells_what_stands_below_a_field_and_what_a_method_raises() -> None:
    page = plugin_reference.page()
    assert "- `external_id: str`: The source's stable name of the account" in page
    assert "Raises AuthExpired on 401 and 403" in page
    assert "#### `Plugin.migrate_settings`" in page


def test_checking_writes_nothing_and_says_what_differs(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = tmp_path_factory.mktemp("docs") / "plugin-reference.md"
    monkeypatch.setattr(plugin_reference, "PAGE", old)
    assert plugin_reference.main(["--check"]) == 1
    assert not old.exists()
    assert plugin_reference.main([]) == 0
    assert plugin_reference.main(["--check"]) == 0
    old.write_text(old.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    assert plugin_reference.main(["--check"]) == 1
    assert "not as the code" in capsys.readouterr().out
