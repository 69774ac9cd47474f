"""Who asks, in which language, and in which organization: settled before any view runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from kvit.audit.recording import Actor
from kvit.users.keys import missing_master_keys
from kvit.users.models import User
from kvit.users.scoping import Access, access_of
from kvit.web.requests import Request

ORGANIZATION_KEY = "organization"
"""Where the session keeps the id of the organization a person has switched to."""

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")

type Next = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Give each request an id that its log lines, audit entries and answer carry."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = str(uuid.uuid4())
        cast("Request", request).request_id = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response


class LanguageMiddleware:
    """Speak the person's language, else the one of the cookie or the browser, else Czech."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = getattr(request.user, "language", "")
        if language not in dict(settings.LANGUAGES):
            language = translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        response.headers.setdefault("Content-Language", language)
        return response


class AccessMiddleware:
    """Ask strangers to sign in, and give everybody else their access; it guards every view by default.

    A view opens itself by `login_not_required`, and to people who may only look by `lookers_may_post`.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _arguments: Any, _named: Any
    ) -> HttpResponse | None:
        """Raise Http404 for a person without a membership, PermissionDenied for a change by a looker."""
        if not getattr(view, "login_required", True):
            return None
        if not isinstance(request.user, User):
            return _to_sign_in(request)
        access = _access(request, request.user)
        if request.method not in SAFE_METHODS and not getattr(view, "lookers_may_post", False):
            access.require_change()
        asked = cast("Request", request)
        asked.access = access
        asked.actor = Actor.of_user(request.user, asked.request_id)
        timezone.activate(ZoneInfo(access.organization.time_zone))
        return None


class ReadOnlyMiddleware:
    """Change nothing while a master key is missing: what would be sealed or synced then, could be lost.

    People still sign in and out, and choose what is only their own: language, theme and organization.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _arguments: Any, _named: Any
    ) -> HttpResponse | None:
        """Answer a change with 503 and the name of the missing key."""
        is_their_own = not getattr(view, "login_required", True) or getattr(view, "lookers_may_post", False)
        if request.method in SAFE_METHODS or is_their_own or not missing_master_keys():
            return None
        response = render(request, "web/read_only.html", status=HTTPStatus.SERVICE_UNAVAILABLE)
        if request.htmx:  # type: ignore[attr-defined]  # set by HtmxMiddleware
            response.headers["HX-Refresh"] = "true"
        return response


def lookers_may_post[View: Callable[..., HttpResponse]](view: View) -> View:
    """Let people who may only look post to this view: it changes nothing but what is their own."""
    view.lookers_may_post = True  # type: ignore[attr-defined]  # read by AccessMiddleware, as Django does it
    return view


def _access(request: HttpRequest, user: User) -> Access:
    """The access to the organization the person switched to, else to their first one."""
    chosen = request.session.get(ORGANIZATION_KEY)
    if chosen is not None:
        try:
            return access_of(user, chosen)
        except Http404:
            del request.session[ORGANIZATION_KEY]
    return access_of(user)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]  # set by HtmxMiddleware
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
