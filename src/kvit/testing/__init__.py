"""For authors of plugins: the contract as tests, pretend banks, and recorded answers of real ones.

from kvit.testing import PluginContract, PretendBank

class AcmeBank(PretendBank):
    def answer(self, request: httpx.Request) -> httpx.Response: ...

class TestAcme(PluginContract):
    plugin = Acme
    bank = AcmeBank
"""

from kvit.testing import installation

installation.prepare()

from kvit.testing.bank import InProcess, Movement, PretendAccount, PretendBank, serving, utc  # noqa: E402
from kvit.testing.contract import PluginContract  # noqa: E402
from kvit.testing.report import Report, run_contract  # noqa: E402

__all__ = [
    "InProcess",
    "Movement",
    "PluginContract",
    "PretendAccount",
    "PretendBank",
    "Report",
    "run_contract",
    "serving",
    "utc",
]
