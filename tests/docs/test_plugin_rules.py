"""The page of the rules is as the rules are."""

from __future__ import annotations

from kvit.testing import PluginContract
from kvit.testing.rules import rules_of
from scripts.plugin_rules import PAGE, page


def test_the_page_of_the_rules_is_as_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "Run python -m scripts.plugin_rules."


def test_every_rule_has_a_name_of_its_own_a_reason_and_a_way_to_mend_it() -> None:
    rules = rules_of(PluginContract).values()

    assert len({rule.name for rule in rules}) == len(list(rules))
    assert all(rule.sentence and rule.why and rule.mend for rule in rules)
