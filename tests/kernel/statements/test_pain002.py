"""The rules by which the bank's answers to payment orders (pain.002) are read."""

from __future__ import annotations

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import Detection, OrderStatus, StatementFile, detect, read


def report(*parts: str, group: str = "<GrpSts>PART</GrpSts>") -> bytes:
    head = "<GrpHdr><MsgId>B1</MsgId></GrpHdr>"
    original = f"<OrgnlGrpInfAndSts><OrgnlMsgId>M-1</OrgnlMsgId>{group}</OrgnlGrpInfAndSts>"
    namespace = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"
    body = "\n".join((head, original, *parts))
    return f'<Document xmlns="{namespace}">\n<CstmrPmtStsRpt>{body}</CstmrPmtStsRpt></Document>'.encode()


def batch(*transactions: str, status: str = "") -> str:
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>P-1</OrgnlPmtInfId>{status}{''.join(transactions)}"
        "</OrgnlPmtInfAndSts>"
    )


def transaction(status: str, more: str = "", end_to_end_id: str = "E-1") -> str:
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId><TxSts>{status}</TxSts>{more}"
        "</TxInfAndSts>"
    )


def statuses(file: StatementFile) -> list[tuple[str, str]]:
    return [(each.level, each.status) for each in file.order_statuses]


def only_transaction(data: bytes) -> OrderStatus:
    (status,) = (each for each in read(data).order_statuses if each.level == "transaction")
    return status


def test_the_report_is_known_by_its_message() -> None:
    assert detect(report()) == Detection(format="pain.002")


def test_each_level_has_its_own_state() -> None:
    file = read(report(batch(transaction("RJCT"), transaction("ACSC"), status="<PmtInfSts>PART</PmtInfSts>")))
    assert statuses(file) == [
        ("group", "PART"),
        ("payment", "PART"),
        ("transaction", "RJCT"),
        ("transaction", "ACSC"),
    ]
    assert file.format == "pain.002"
    assert file.statements == ()


def test_a_level_that_the_bank_says_nothing_about_is_left_out() -> None:
    assert statuses(read(report(batch(transaction("RJCT")), group=""))) == [("transaction", "RJCT")]


def test_a_payment_is_named_as_its_sender_named_it() -> None:
    status = only_transaction(report(batch(transaction("RJCT"))))
    assert (status.message_id, status.payment_id, status.end_to_end_id) == ("M-1", "P-1", "E-1")
    assert only_transaction(report(batch(transaction("RJCT", "", "NOTPROVIDED")))).end_to_end_id == ""


def test_the_reason_has_a_code_and_all_of_its_text() -> None:
    texts = "<AddtlInf>Účet</AddtlInf><AddtlInf>neexistuje</AddtlInf>"
    reason = f"<StsRsnInf><Rsn><Cd>AC01</Cd></Rsn>{texts}</StsRsnInf>"
    status = only_transaction(report(batch(transaction("RJCT", reason))))
    assert (status.reason, status.text) == ("AC01", "Účet neexistuje")


def test_the_bank_may_have_codes_of_its_own_and_several() -> None:
    reasons = "".join(
        f"<StsRsnInf><Rsn>{each}</Rsn></StsRsnInf>" for each in ("<Cd>AM04</Cd>", "<Prtry>X9</Prtry>")
    )
    assert only_transaction(report(batch(transaction("RJCT", reasons)))).reason == "AM04, X9"


def test_the_amount_is_what_was_ordered() -> None:
    original = '<OrgnlTxRef><Amt><InstdAmt Ccy="EUR">12.5</InstdAmt></Amt></OrgnlTxRef>'
    assert only_transaction(report(batch(transaction("RJCT", original)))).amount == Money(1250, "EUR")


def test_an_amount_that_cannot_be_read_leaves_the_state_with_a_warning() -> None:
    original = '<OrgnlTxRef><Amt><InstdAmt Ccy="EUR">12.505</InstdAmt></Amt></OrgnlTxRef>'
    file = read(report(batch(transaction("RJCT", original))))
    assert file.order_statuses[-1].amount is None
    assert [problem.field for problem in file.warnings] == ["OrgnlTxRef/Amt/InstdAmt"]


def test_payments_outside_of_batches_are_read_too() -> None:
    assert statuses(read(report(transaction("RJCT"))))[-1] == ("transaction", "RJCT")


def test_the_line_is_where_the_record_begins() -> None:
    assert [each.line for each in read(report(batch(transaction("RJCT")))).order_statuses] == [3, 4]


@pytest.mark.parametrize("end", [-1, -30, -80])
def test_a_report_cut_short_is_refused_with_its_line(end: int) -> None:
    with pytest.raises(StatementUnreadable) as caught:
        read(report(batch(transaction("RJCT")))[:end], source="answer.xml")
    assert caught.value.source == "answer.xml"
    assert caught.value.line is not None
