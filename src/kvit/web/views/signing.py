"""Signing in and out, the person's own profile, the choice of organization, and the health check."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.db import DatabaseError, connection, transaction
from django.forms import model_to_dict
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from kvit.audit.recording import audited_values, changed, record
from kvit.users.models import User
from kvit.users.scoping import access_of
from kvit.web.forms import ProfileForm
from kvit.web.middleware import ORGANIZATION_KEY, lookers_may_post
from kvit.web.requests import Request, redirect_back

YEAR_SECONDS = 365 * 24 * 60 * 60

sign_in = LoginView.as_view(template_name="web/sign_in.html", redirect_authenticated_user=True)
sign_out = login_not_required(LogoutView.as_view())


@lookers_may_post
def profile(request: Request) -> HttpResponse:
    """Show and change the person's name, language and theme; what a form leaves out stays as it is."""
    fields = ProfileForm.Meta.fields
    if request.method != "POST":
        return render(request, "web/profile.html", {"form": ProfileForm(instance=request.user)})
    given = {name: request.POST[name] for name in fields if name in request.POST}
    form = ProfileForm(model_to_dict(request.user, fields) | given, instance=request.user)
    if not form.is_valid():
        return render(request, "web/profile.html", {"form": form})
    user = _save(request, form)
    with translation.override(user.language or translation.get_language()):
        messages.success(request, _("Your profile is saved."))
    response = redirect_back(request, "profile")
    if user.language:
        _remember_language(response, user.language)
    return response


@require_POST
@lookers_may_post
def organization(request: Request) -> HttpResponse:
    """Switch to another organization the person is a member of; any other is not there (404)."""
    try:
        chosen = int(request.POST.get("organization", ""))
    except ValueError:
        raise Http404 from None
    request.session[ORGANIZATION_KEY] = access_of(request.user, chosen).organization.pk
    return redirect("dashboard")


@require_safe
@never_cache
@login_not_required
def health(_request: HttpRequest) -> HttpResponse:
    """Say “ok” where the database answers, else 503; for monitors, without signing in."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("the database does not answer", status=503, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")


def _save(request: Request, form: ProfileForm) -> User:
    """Save the profile, and into the audit what it follows; the entry stands in the organization of today."""
    with transaction.atomic():
        before = audited_values(User.objects.select_for_update().get(pk=request.user.pk))
        user: User = form.save()
        record(request.access.organization, request.actor, [changed(user, before, audited_values(user))])
    return user


def _remember_language(response: HttpResponse, language: str) -> None:
    """Keep the language for the sign-in page too."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=YEAR_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
