from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "kvit.sync"
    label = "sync"
