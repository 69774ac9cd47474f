from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "kvit.audit"
    label = "audit"
