from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "kvit.payments"
    label = "payments"
