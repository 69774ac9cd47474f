"""The door for messages that sources send by themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from kvit.kernel.errors import KvitError
from kvit.sync import webhooks
from kvit.sync.models import PluginConfiguration

_ANSWERS: Final = {
    webhooks.Outcome.TAKEN: (HTTPStatus.ACCEPTED, ""),
    webhooks.Outcome.REFUSED: (HTTPStatus.BAD_REQUEST, "The message is refused.\n"),
    webhooks.Outcome.REPEATED: (HTTPStatus.CONFLICT, "The message came before.\n"),
    webhooks.Outcome.NOT_HERE: (HTTPStatus.NOT_FOUND, ""),
}
"""For programs, in English; why a message is refused is only in the log."""
_DIGITS: Final = 20
"""Of a length that are read: more would be more than too large already."""


@csrf_exempt
@login_not_required
@require_POST
def message(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Take a message of at most 1 MB; it has a connection synced where its signature is right."""
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:_DIGITS]) > webhooks.LARGEST_BODY_BYTES:
        return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        outcome = webhooks.receive(uid, request.headers, request.body, timezone.now())
    except KvitError:
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
    status, text = _ANSWERS[outcome]
    return HttpResponse(text, status=status, content_type="text/plain")


def address_of(connection: PluginConfiguration) -> str:
    """The address that the owner enters at the source; empty where its plugin takes no messages."""
    if webhooks.listening(connection) is None:
        return ""
    return f"{settings.KVIT.base_url}{reverse('webhook', args=[connection.uid])}"
