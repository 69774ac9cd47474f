from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "kvit.web"
    label = "web"
