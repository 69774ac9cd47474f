from django.apps import AppConfig


class MatchingConfig(AppConfig):
    name = "kvit.matching"
    label = "matching"
