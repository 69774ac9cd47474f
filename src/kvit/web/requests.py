"""What every view gets and how it tells a person that something was refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from kvit.audit.recording import Actor
from kvit.kernel.errors import KvitError
from kvit.users.models import User
from kvit.users.scoping import Access
from kvit.web.words import error_text


class Request(HttpRequest):
    """A signed-in request as the middleware leaves it; a type for views, never instantiated."""

    user: User
    access: Access
    actor: Actor
    """The person as domain calls name them."""
    request_id: str
    htmx: HtmxDetails


@contextmanager
def refusal_as_message(request: HttpRequest) -> Iterator[None]:
    """Show a KvitError raised inside as a message on the next page; the rest of the block is left out."""
    try:
        yield
    except KvitError as error:
        messages.error(request, error_text(error))


def redirect_back(request: HttpRequest, otherwise: str, **arguments: int | str) -> HttpResponseRedirect:
    """Go to the page a form names in `next` where that is a page of ours, else to the named URL."""
    target = request.POST.get("next", "")
    if target and url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        return HttpResponseRedirect(target)
    return HttpResponseRedirect(reverse(otherwise, kwargs=arguments))
