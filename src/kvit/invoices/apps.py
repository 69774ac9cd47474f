from django.apps import AppConfig


class InvoicesConfig(AppConfig):
    name = "kvit.invoices"
    label = "invoices"
