"""Each planted bug is found by the rule that names it, and the plugin without one by none."""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from typing import Any

import pytest

from kvit.testing import PluginContract, run_contract
from kvit.testing.report import Standing
from kvit.testing.rules import RuleBroken, rules_of
from tests.testing.buk import Buk
from tests.testing.buk_bank import BukBank, BukContract, BukOrdersContract
from tests.testing.buk_orders import CAUGHT_BY as CAUGHT_BY_WITH_ORDERS
from tests.testing.mutants import CAUGHT_BY, GuessedCurrency, StopsAtTheFirstShortPage

METHODS = {rule.name: method for method, rule in rules_of(PluginContract).items()}
CASES = [
    *((mutant, rule, BukContract) for mutant, rule in CAUGHT_BY.items()),
    *((mutant, rule, BukOrdersContract) for mutant, rule in CAUGHT_BY_WITH_ORDERS.items()),
]


@pytest.mark.parametrize(
    ("mutant", "rule", "contract"), [pytest.param(*case, id=case[0].__name__) for case in CASES]
)
def test_a_planted_bug_is_found_by_the_rule_that_names_it(
    mutant: type[Buk], rule: str, contract: type[BukContract]
) -> None:
    of_the_mutant: type[BukContract] = type("OfTheMutant", (contract,), {"plugin": mutant})

    with pytest.raises(RuleBroken) as caught:
        getattr(of_the_mutant(), METHODS[rule])()

    assert caught.value.rule is not None
    assert caught.value.rule.name == rule
    assert caught.value.seen


@pytest.mark.parametrize("contract", [BukContract, BukOrdersContract])
def test_the_plugin_without_a_bug_keeps_every_rule(contract: type[BukContract]) -> None:
    report = run_contract(contract)

    assert [(trial.rule.name, trial.seen) for trial in report.broken] == []
    assert {trial.rule.name for trial in report.trials} == set(METHODS)


def test_a_guessed_currency_is_found_where_the_only_account_is_in_the_currency_that_is_guessed() -> None:
    class OneAccount(BukBank):
        accounts = BukBank.accounts[:1]

    of_one_account: type[BukContract] = type(
        "OfOneAccount", (BukContract,), {"plugin": GuessedCurrency, "bank": OneAccount}
    )

    assert {trial.rule.name for trial in run_contract(of_one_account).broken} == {"accounts-first"}


def test_a_source_that_promises_full_pages_may_be_read_up_to_a_short_one() -> None:
    class FullPages(BukBank):
        full_pages = True

    of_full_pages: type[BukContract] = type(
        "OfFullPages", (BukContract,), {"plugin": StopsAtTheFirstShortPage, "bank": FullPages}
    )

    getattr(of_full_pages(), METHODS["every-movement"])()


def test_settings_of_today_are_not_migrated() -> None:
    class Renamed(Buk):
        schema_version = 2

        @classmethod
        def migrate_settings(cls, stored: Mapping[str, Any], from_version: int) -> Mapping[str, Any]:
            return {"token": stored["api_key"]}

    of_renamed: type[BukContract] = type("OfRenamed", (BukContract,), {"plugin": Renamed})

    getattr(of_renamed(), METHODS["form"])()


def test_every_rule_finds_a_planted_bug() -> None:
    """Exemptions are tried below, and imports beside the command, for they are of a file."""
    assert {rule for _, rule, _ in CASES} == set(METHODS) - {"exemptions", "imports"}


@pytest.mark.parametrize(
    "exempt", [{"no-such-rule": "because"}, {"throttled": " "}], ids=["unknown rule", "no reason"]
)
def test_an_exemption_needs_a_rule_and_a_reason(exempt: dict[str, str]) -> None:
    careless: type[BukContract] = type("Careless", (BukContract,), {"exempt": exempt})

    with pytest.raises(RuleBroken) as caught:
        careless().test_exemptions_name_a_rule_and_a_reason()

    assert caught.value.rule is not None
    assert caught.value.rule.name == "exemptions"


def test_an_exempt_rule_is_skipped_with_its_reason() -> None:
    exempted: type[BukContract] = type("Exempted", (BukContract,), {"exempt": {"throttled": "no limit"}})

    with pytest.raises(unittest.SkipTest, match="exempt: no limit"):
        exempted().test_a_source_that_slows_down_is_asked_later()


def test_rules_about_requests_are_exempt_where_there_are_none() -> None:
    silent: type[BukContract] = type("Silent", (BukContract,), {"reads_http": False})

    exempt = {trial.rule.name for trial in run_contract(silent).trials if trial.standing is Standing.EXEMPT}

    assert {"throttled", "refused-midway", "broken-answers", "hosts"} <= exempt
    assert not {"resume", "secrets", "exact-amounts"} & exempt
