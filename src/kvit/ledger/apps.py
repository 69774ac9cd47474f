from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "kvit.ledger"
    label = "ledger"
