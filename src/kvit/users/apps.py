from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "kvit.users"
    label = "users"
