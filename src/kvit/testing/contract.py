"""The contract of plugins as tests: subclass it beside a pretend bank, and every rule is tried.

    class TestAcme(PluginContract):
        plugin = Acme
        bank = AcmeBank

It runs under pytest and, without it, under `kvit plugin test`. Nothing of it uses a network or a database,
and nothing waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from kvit.plugin import Grant, Plugin, Secret, SourceFile
from kvit.sync.configuring import config_fields, read_values
from kvit.testing.bank import PretendBank
from kvit.testing.describing import Describing
from kvit.testing.failing import Failing
from kvit.testing.filling import fill
from kvit.testing.handing import Handing
from kvit.testing.reading import Reading
from kvit.testing.resuming import Resuming
from kvit.testing.rules import names, rule
from kvit.testing.running import Installation
from kvit.testing.seeing import broken

_ADDRESSES = ("base_url", "address", "url", "api_url")
"""Names of required settings that are filled in with the bank's address."""


class PluginContract(Describing, Reading, Resuming, Failing, Handing):
    """Set `plugin` and `bank`; override the rest where the defaults do not fit the source."""

    plugin: ClassVar[type[Plugin[Any]]]
    bank: ClassVar[type[PretendBank]]
    reads_http: ClassVar[bool] = True
    """False for a plugin that reads something else; then rules about requests are exempt."""
    exempt: ClassVar[Mapping[str, str]] = {}
    """Rules that cannot hold for this source, each with the reason."""

    def settings(self, bank: PretendBank) -> Mapping[str, str]:
        """Return the settings as a person would write them into the form, by the names of the Config.

        By default a required credential is the bank's secret and a required address is the bank's.
        """
        required = [item for item in config_fields(self.plugin) if item.is_required]
        secrets = {item.name: bank.secret for item in required if item.is_secret}
        return secrets | {item.name: bank.address for item in required if item.name in _ADDRESSES}

    def grant(self, bank: PretendBank) -> Grant:
        """Return what a person has granted, for a plugin with Consent or OAuth."""
        return Grant(secrets={"access_token": Secret(bank.secret)})

    def files(self, bank: PretendBank) -> Sequence[SourceFile]:
        """Return the files that are handed over with a run, for a plugin that accepts files."""
        return ()

    def before_sync(self, bank: PretendBank) -> None:
        """Put what the bank knows where the plugin reads it, for one that reads no HTTP."""

    def installed(self, *, filled: bool = True, other_currencies: bool = False) -> Installation:
        """Return the plugin connected to a new bank, which holds several pages of movements or none.

        With `other_currencies`, accounts in euros are in crowns and all others in euros.
        """
        bank = self.bank()
        if other_currencies:
            bank.accounts = [
                replace(each, currency="CZK" if each.currency == "EUR" else "EUR") for each in bank.accounts
            ]
        if filled:
            fill(bank)
        return Installation(
            plugin=self.plugin,
            bank=bank,
            values=read_values(self.plugin, self.settings(bank)),
            grant=self.grant(bank),
            files=lambda: self.files(bank),
            before_sync=lambda: self.before_sync(bank),
        )

    @rule(
        "exemptions",
        why="An exemption that names no rule or no reason hides a fault from everybody.",
        mend="Name a rule of docs/plugin-rules.md in `exempt`, with the reason why it cannot hold here.",
    )
    def test_exemptions_name_a_rule_and_a_reason(self) -> None:
        """Every exemption names a rule and gives the reason."""
        known = set(names(type(self)))
        for name, reason in self.exempt.items():
            if name not in known:
                broken(f"“{name}” is not a rule; the rules are {', '.join(sorted(known))}.")
            if not reason.strip():
                broken(f"The exemption from “{name}” gives no reason.")
