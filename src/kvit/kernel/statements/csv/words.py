"""The words that banks write above their columns, in the languages whose statements people bring."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from kvit.kernel.statements.currencies import CURRENCIES

CODES: Final = frozenset(CURRENCIES.values())
SYMBOLS: Final = {"€": "EUR", "£": "GBP", "Kč": "CZK", "zł": "PLN", "Ft": "HUF"}
"""Signs of one currency only; `$` and `kr` are of many."""

_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i"})
_OTHER: Final = re.compile(r"[^\w#]+|_+")

BOOKED: Final = """
datum zauctovani|datum zuctovani|datum zauctovania|datum uctovania|datum zauctovani transakce|booking date|
posting date|post date|posted date|date posted|booked on|booked|completed date|buchungsdatum|buchungstag|
date comptable|date de comptabilisation|fecha contable|boekdatum|boekingsdatum|data ksiegowania|
data contabile|konyveles datuma|konyvelesi datum|entry date
"""
DATE: Final = """
date|datum|data|fecha|transaction date|datum transakce|datum pohybu|datum operace|datum realizace|
date operation|date d operation|date de l operation|fecha operacion|fecha de operacion|fecha movimiento|
data operacji|data operazione|data transakcji|tranzakcio datuma|transactiedatum|datum verrichting|
datum provedeni|datum provedeni transakce|execution date|created|created utc|created on|day|dag|den
"""
VALUE: Final = """
value date|value on|valuta|valutadatum|valuta datum|wertstellung|wertstellungsdatum|wert|datum valuty|
date valeur|date de valeur|fecha valor|fecha de valor|data valuta|data waluty|rentedatum|erteknap|
datum splatnosti|valutadate|availability date
"""
AMOUNT: Final = """
amount|castka|ciastka|objem|suma|betrag|umsatz|montant|importe|importo|kwota|bedrag|osszeg|belopp|belob|
zauctovana castka|castka transakce|castka v mene uctu|castka v mene|transaction amount|booked amount|
amount in account currency|kwota operacji|kwota transakcji|tranzakcio osszege|transactiebedrag|net|netto
"""
INCOME: Final = """
credit|credits|income|incoming|credit amount|amount credit|money in|paid in|deposit|deposits|prijem|prijmy|
pripsano|kredit|haben|gutschrift|gutschriften|credito|abono|abonos|haber|ingreso|ingresos|entrate|avere|
accrediti|uznania|wplywy|jovairas|bijschrijving|in
"""
EXPENSE: Final = """
debit|debits|expense|expenses|debit amount|amount debit|money out|paid out|withdrawal|withdrawals|vydaj|
vydaje|odepsano|debet|soll|lastschrift|belastung|belastungen|debito|cargo|cargos|debe|gasto|gastos|uscite|
dare|addebiti|obciazenia|wydatki|terheles|afschrijving|out
"""
SIGN_MARK: Final = """
d c|c d|dc|cd|dr cr|cr dr|af bij|bij af|debit credit|credit debit|debet credit|credit debit indicator|
debit credit indicator|soll haben|s h|sh|smer|smer platby|direction|sign|bevetel kiadas|tartozik kovetel
"""
CURRENCY: Final = """
currency|currency code|ccy|mena|mena uctu|account currency|wahrung|waehrung|devise|monnaie|moneda|divisa|
waluta|munt|muntsoort|devizanem|tranzakcio devizaneme
"""
OWN_ACCOUNT: Final = """
own account|own iban|account iban|cislo vlastniho uctu|vlastni ucet|auftragskonto|eigene iban|iban konto|
cislo uctu vlastnika
"""
SOME_ACCOUNT: Final = """
account|account number|account no|ucet|cislo uctu|konto|kontonummer|iban|compte|numero de compte|cuenta|
numero de cuenta|conto|rekening|rekeningnummer|rachunek|numer rachunku|szamlaszam|bank account
"""
COUNTERPARTY_ACCOUNT: Final = """
counterparty account|counterparty account number|counter account|counteraccount number|counterparty iban|
protiucet|cislo protiuctu|cislo uctu protiuctu|cislo uctu protistrany|ucet protistrany|protistrana ucet|
partner iban|partner account number|payee account|payee account number|beneficiary account|gegenkonto|
iban gegenkonto|iban zahlungsbeteiligter|kontonummer iban|tegenrekening|tegenrekening iban|
rekeningnummer tegenpartij|rekening tegenpartij|compte contrepartie|compte beneficiaire|cuenta destino|
cuenta contrapartida|nr rachunku kontrahenta|numer konta|rachunek kontrahenta|partner szamlaszama|
conto controparte|iban controparte|protiucet kod banky
"""
COUNTERPARTY_BANK: Final = "bank|bank code|kod banky|kod banky protiuctu|bankcode|blz|bankleitzahl"
COUNTERPARTY_NAME: Final = """
name|counterparty|counterparty name|counteraccount name|partner|partner name|payee|payee name|payer|
payer name|beneficiary|beneficiary name|merchant|nazev protiuctu|nazev protistrany|nazev uctu protiuctu|
nazev uctu protistrany|protistrana|jmeno protistrany|platce prijemce|nazov protiuctu|empfanger|auftraggeber|
auftraggeber empfanger|name zahlungsbeteiligter|beguenstigter zahlungspflichtiger|begunstigter|naam|
naam tegenpartij|naam omschrijving|nom|tiers|beneficiaire|contrepartie|beneficiario|ordenante|
nazwa kontrahenta|kontrahent|nadawca odbiorca|partner neve|controparte
"""
VARIABLE_SYMBOL: Final = (
    "vs|variabilni symbol|variabilny symbol|variable symbol|variabilni symbol 1|variable symbol 1"
)
CONSTANT_SYMBOL: Final = "ks|konstantni symbol|konstantny symbol|constant symbol"
SPECIFIC_SYMBOL: Final = "ss|specificky symbol|specific symbol"
MESSAGE: Final = """
message|description|details|label|memo|text|note|notes|narrative|narration|particulars|purpose|
communication|remittance information|message for payee|message for recipient|zprava|zprava pro prijemce|
sprava pre prijimatela|popis|popis transakce|poznamka|komentar|verwendungszweck|buchungstext|umsatztext|
omschrijving|mededeling|mededelingen|vrije mededeling|gestructureerde mededeling|libelle|
libelle operation|concepto|descripcion|observaciones|causale|descrizione|tytul|tytulem|opis|opis operacji|
opis transakcji|kozlemeny|payment reference
"""
EXTERNAL_ID: Final = """
id|transaction id|transactionid|transaction number|transaction reference number|reference number|
id transakce|id operace|id pohybu|identifikace transakce|referencni cislo|referencni cislo transakce|
bankovni reference|kod transakce|archivierungs id|umsatz id|transactie id|identifiant|id transaccion|
id operazione|numer operacji|tranzakcio azonosito
"""
REFERENCE: Final = """
reference|ref|referenz|referentie|referencia|riferimento|referencja|end to end id|endtoend id|e2e|
end to end reference|kundenreferenz|referenz kunde|reference platby
"""
BALANCE: Final = """
balance|running balance|account balance|balance after|zustatek|ucetni zustatek|zostatok|
ucetni zustatek po transakci|kontostand|saldo|saldo po operacji|saldo po transakcji|solde|egyenleg|
konyvelt egyenleg|saldo nach buchung
"""
STATUS: Final = "status|state|stav|estado|statut|stan|allapot|statetype"
FEE: Final = "fee|fees|total fees|poplatek|poplatky|gebuhr|gebuhren|frais|commission|comision|oplata|kosten"

MARKS_INCOMING: Final = "c|cr|credit|crdt|bij|kredit|h|haben|in|inflow|prijem|prichozi|bevetel|jovairas|+"
MARKS_OUTGOING: Final = "d|dr|debit|dbit|af|debet|s|soll|out|outflow|vydaj|odchozi|kiadas|terheles|-"
STATUSES_BOOKED: Final = """
completed|booked|settled|posted|cleared|dokonceno|zauctovano|gebucht|umsatz gebucht|processed|executed
"""
STATUSES_PENDING: Final = "pending|authorised|authorized|vorgemerkt|ceka|probiha|reserved"
STATUSES_SKIPPED: Final = """
declined|reverted|failed|canceled|cancelled|rejected|expired|denied|zamitnuto|zruseno|vraceno
"""
TOTALS: Final = """
celkem|soucet|suma|total|totals|totaal|summe|gesamt|gesamtsumme|razem|osszesen|totale|totaux|zustatek|saldo|
balance|kontostand|anfangssaldo|endsaldo|opening|closing|pocatecni|konecny|solde
"""
"""The first words of rows that sum others up."""


def words(text: str) -> frozenset[str]:
    """Return the words of one of the lists above."""
    return frozenset(text.replace("\n", "").split("|"))


@lru_cache(maxsize=4096)
def normalized(name: str) -> str:
    """Return a header name without case, accents and punctuation, so that its spellings are one."""
    decomposed = unicodedata.normalize("NFKD", name[:200].casefold())
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(
        _LETTERS
    )
    return " ".join(_OTHER.sub(" ", letters).replace("#", " ").split()) or name.strip()


def without_currency(name: str) -> tuple[str, str]:
    """Split a normalized name such as `bedrag eur` into the words and the currency; else it stays whole."""
    rest, _, last = name.rpartition(" ")
    if rest and last.upper() in CODES:
        return rest.removesuffix(" in"), last.upper()
    return name, ""
