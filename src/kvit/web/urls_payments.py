"""The URLs of payment orders and of the batches they are handed over in."""

from __future__ import annotations

from django.urls import URLPattern, path

from kvit.web.views import payment_batches as batches
from kvit.web.views import payments

urlpatterns: list[URLPattern] = [
    path("payments/", payments.listing, name="payments"),
    path("payments/new/", payments.new, name="payment-new"),
    path("payments/<int:pk>/", payments.order, name="payment"),
    path("payments/<int:pk>/cancellation/", payments.cancellation, name="payment-cancellation"),
    path("payments/<int:pk>/execution/", payments.execution, name="payment-execution"),
    path("payments/batches/", batches.make, name="payment-batches"),
    path("payments/batches/<int:pk>/", batches.batch, name="payment-batch"),
    path("payments/batches/<int:pk>/file/", batches.file, name="payment-batch-file"),
    path("payments/batches/<int:pk>/withdrawal/", batches.withdrawal, name="payment-batch-withdrawal"),
    path("payments/batches/<int:pk>/resolution/", batches.resolution, name="payment-batch-resolution"),
]
