"""Enable Banking under the contract's rules."""

from __future__ import annotations

from collections.abc import Mapping

from kvit.plugin import Grant
from kvit.plugins.enable_banking import EnableBanking
from kvit.testing import PluginContract, PretendBank
from tests.plugins.enable_banking.pretend_enable_banking import (
    EnableBankingServer,
    grant_of,
    settings_for,
)


class TestEnableBanking(PluginContract):
    plugin = EnableBanking
    bank = EnableBankingServer

    def settings(self, bank: PretendBank) -> Mapping[str, str]:
        return settings_for(bank.address)

    def grant(self, bank: PretendBank) -> Grant:
        assert isinstance(bank, EnableBankingServer)
        return grant_of(bank, bank.consent())
