"""The plugin of statement files keeps the contract of plugins, as far as it fits one that reads no source."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import httpx

from kvit.plugin import SourceFile
from kvit.plugins.statement_file import StatementFile
from kvit.testing import Movement, PluginContract, PretendBank


class Paper(PretendBank):
    """A bank that people get camt.053 files from; it answers nobody."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        return self.failed(request)

    def statement(self) -> bytes:
        (account,) = self.accounts
        entries = "".join(map(_entry, self.listed(account=account.id)))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
            "<GrpHdr><MsgId>1</MsgId><CreDtTm>2026-01-01T08:00:00</CreDtTm></GrpHdr>"
            f"<Stmt><Id>1</Id><Acct><Id><IBAN>{account.iban}</IBAN></Id><Ccy>{account.currency}</Ccy></Acct>"
            f"{entries}</Stmt></BkToCstmrStmt></Document>"
        ).encode()


def _entry(row: Movement) -> str:
    sign = "DBIT" if row.amount < 0 else "CRDT"
    status = "PDNG" if row.pending else "BOOK"
    reference = f"<AcctSvcrRef>{row.id}</AcctSvcrRef>" if row.id else ""
    return (
        f'<Ntry><Amt Ccy="{row.currency}">{abs(row.amount)}</Amt><CdtDbtInd>{sign}</CdtDbtInd>'
        f"<Sts>{status}</Sts><BookgDt><Dt>{row.booked_on}</Dt></BookgDt>{reference}"
        f"<NtryDtls><TxDtls><RmtInf><Ustrd>{escape(row.message)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


class TestStatementFile(PluginContract):
    plugin = StatementFile
    bank = Paper
    reads_http = False

    def files(self, bank: PretendBank) -> Sequence[SourceFile]:
        assert isinstance(bank, Paper)
        return (SourceFile(name="statement.xml", data=bank.statement()),)
