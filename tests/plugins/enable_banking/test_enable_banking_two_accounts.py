"""The contract's rules over two accounts: what goes wrong at one never costs the other anything."""

from __future__ import annotations

import pytest

from tests.plugins.enable_banking import test_enable_banking_contract as contract
from tests.plugins.enable_banking.pretend_enable_banking import TwoAccounts


@pytest.mark.soak
class TestEnableBankingWithTwoAccounts(contract.TestEnableBanking):
    bank = TwoAccounts
