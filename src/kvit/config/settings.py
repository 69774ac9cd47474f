"""Django's settings, derived from the environment (see `environment.py` and docs/settings.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.utils.translation import gettext_lazy as _

from kvit.config import logs
from kvit.config.environment import Environment

KVIT = Environment.read(os.environ)

DEBUG = KVIT.debug
SECRET_KEY = KVIT.secret_key
ALLOWED_HOSTS = list(KVIT.allowed_hosts)
BASE_DIR = Path(__file__).parent.parent

INSTALLED_APPS = [
    "kvit.users",
    "kvit.audit",
    "kvit.ledger",
    "kvit.work",
    "kvit.sync",
    "kvit.invoices",
    "kvit.matching",
    "kvit.payments",
    "kvit.web",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "kvit.web.middleware.RequestIdMiddleware",
    "kvit.web.middleware.LanguageMiddleware",
    "kvit.web.middleware.AccessMiddleware",
    "kvit.web.middleware.ReadOnlyMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "kvit.web.context.frame",
            ],
            "builtins": ["kvit.web.templatetags.kvit"],
        },
    },
]

ROOT_URLCONF = "kvit.config.urls"
WSGI_APPLICATION = "kvit.config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _database() -> dict[str, Any]:
    if KVIT.database_url:
        return {**dj_database_url.parse(KVIT.database_url, conn_max_age=60, conn_health_checks=True)}
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": KVIT.data_dir / "kvit.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
        },
    }


DATABASES = {"default": _database()}

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "sign-in"

LANGUAGE_CODE = "cs"
LANGUAGES = [("cs", _("Czech")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale", *sorted(BASE_DIR.glob("plugins/*/locale"))]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Europe/Prague"

STATIC_URL = "static/"
MEDIA_ROOT = KVIT.data_dir / "media"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = KVIT.debug

_https = KVIT.base_url.startswith("https://")
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(KVIT.base_url))]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME = "kvit_session"
CSRF_COOKIE_NAME = "kvit_csrf"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": ["'self'"],
    "style-src": ["'self'"],
    "script-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "frame-ancestors": ["'none'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
}
FORM_RENDERER = "kvit.web.forms.Renderer"

_mail = KVIT.mail_server
MAILERS = (
    {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": _mail.options}}
    if _mail
    else {}
)
DEFAULT_FROM_EMAIL = _mail.sender if _mail else ""
SILENCED_SYSTEM_CHECKS = [] if _mail else ["mail.W001"]  # without a server, Kvit sends no mail

DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

LOGGING_CONFIG = None
logs.configure(KVIT.log_format)
