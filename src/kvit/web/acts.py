"""A message about an act, with a button that undoes it."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import messages
from django.http import HttpRequest
from django.template.loader import render_to_string


def done(
    request: HttpRequest, text: str, *, undo_url: str = "", values: Mapping[str, int | str] | None = None
) -> None:
    """Say on the next page what was done; with `undo_url`, offer to undo it by posting `values` there."""
    if not undo_url:
        messages.success(request, text)
        return
    context = {"text": text, "undo_url": undo_url, "values": values or {}}
    messages.success(request, render_to_string("web/review/undo_message.html", context, request))
