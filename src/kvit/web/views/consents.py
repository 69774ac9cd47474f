"""Coming back from the page of a source where access was granted, or not."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_safe

from kvit.audit.recording import Actor
from kvit.kernel.errors import KvitError, Refused
from kvit.sync import connections as domain
from kvit.sync import consents
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import Listing
from kvit.users.models import User
from kvit.users.scoping import access_of
from kvit.web.middleware import ORGANIZATION_KEY
from kvit.web.requests import Request, refusal_as_message
from kvit.web.words import error_text

log = structlog.get_logger(__name__)

NO_REFERRER = "no-referrer"


@never_cache
@login_not_required
@require_GET
@sensitive_variables()
def returned(request: HttpRequest) -> HttpResponse:
    """Take the answer of a source and lead on at once to an address that says nothing of it.

    It is no page for the middleware to guard: that would lead a stranger to the sign-in page with the whole
    answer in its address.
    """
    response = _lead_on(request)
    response.headers["Referrer-Policy"] = NO_REFERRER
    return response


@require_safe
def refused(request: Request) -> HttpResponse:
    """Show why nothing was connected, which the message before said."""
    return render(request, "web/connection_consent_refused.html")


def return_url() -> str:
    """The address that a source sends people back to; its owner registers it there."""
    return f"{settings.KVIT.base_url}{reverse('consent-return')}"


def lead_to_source(
    request: Request,
    listing: Listing,
    texts: Mapping[str, str],
    *,
    connection: PluginConfiguration | None = None,
    draft_uid: UUID | None = None,
) -> HttpResponse:
    """Show the way to the source's page; the link is in this answer only. Raises as `consents.begin` does."""
    assert request.session.session_key is not None, "a person is signed in"
    url = consents.begin(
        consents.Visitor(
            organization=request.access.organization,
            user=request.user,
            session_key=request.session.session_key,
        ),
        listing.name,
        texts,
        return_url=return_url(),
        connection=connection,
        draft_uid=draft_uid,
    )
    found = {
        "listing": listing,
        "connection": connection,
        "url": url,
        "host": urlsplit(url).hostname,
        "base_url": settings.KVIT.base_url,
        "is_elsewhere": urlsplit(settings.KVIT.base_url).netloc != request.get_host(),
    }
    response = render(request, "web/connection_consent.html", found)
    response.headers["Referrer-Policy"] = NO_REFERRER
    response.headers["Cache-Control"] = "no-store"
    return response


def _lead_on(request: HttpRequest) -> HttpResponse:
    try:
        return _answered(request)
    except KvitError as error:
        messages.error(request, error_text(error))
    except (Http404, PermissionDenied):
        messages.error(request, _("You may not connect anything here."))
    except Exception as error:  # noqa: BLE001  # an error page would leave the answer in the address
        trace = "".join(traceback.format_tb(error.__traceback__))
        log.error("consent.crashed", kind=type(error).__name__, trace=trace)  # words may hold the answer
        messages.error(request, _("Something went wrong in Kvit. Start again from the connection."))
    return redirect("consent-refused")


def _answered(request: HttpRequest) -> HttpResponse:
    if not isinstance(request.user, User) or request.session.session_key is None:
        raise Refused("You are not signed in any more. Sign in and start again from the connection.")
    access = access_of(request.user, request.session.get(ORGANIZATION_KEY))
    access.require_change()
    actor = Actor.of_user(request.user, getattr(request, "request_id", ""))
    visitor = consents.Visitor(
        organization=access.organization, user=request.user, session_key=request.session.session_key
    )
    connection, is_new = consents.answered(visitor, request.GET.dict(), actor=actor)
    if is_new:
        return redirect("connection-name", pk=connection.pk)
    with refusal_as_message(request):
        domain.request_run(connection, SyncHistory.Trigger.MANUAL, actor=actor)
        messages.success(request, _("Access is granted. The schedule goes on, and a sync has started."))
    return redirect("connection", pk=connection.pk)
