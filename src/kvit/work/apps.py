from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "kvit.work"
    label = "work"
