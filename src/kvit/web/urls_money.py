"""The URLs of transactions, review, invoices and clients."""

from __future__ import annotations

from django.urls import URLPattern, path

from kvit.web.views import clients, invoices, review, transactions

urlpatterns: list[URLPattern] = [
    path("transactions/", transactions.listing, name="transactions"),
    path("transactions/export.csv", transactions.export, name="transactions-export"),
    path("transactions/<int:pk>/", transactions.detail, name="transaction"),
    path("transactions/<int:pk>/confirmation/", review.confirmation, name="confirmation"),
    path("transactions/<int:pk>/rejection/", review.rejection, name="rejection"),
    path("transactions/<int:pk>/rejection/undo/", review.rejection_undo, name="rejection-undo"),
    path("transactions/<int:pk>/dismissal/", review.dismissal, name="dismissal"),
    path("review/", review.queue, name="review"),
    path("decisions/<int:pk>/undo/", review.decision_undo, name="decision-undo"),
    path("conflicts/<int:pk>/resolution/", review.resolution, name="resolution"),
    path("duplicates/<int:pk>/resolution/", review.duplicate_resolution, name="duplicate-resolution"),
    path("conflicts/<int:pk>/resolution/undo/", review.resolution_undo, name="resolution-undo"),
    path(
        "duplicates/<int:pk>/resolution/undo/",
        review.duplicate_resolution_undo,
        name="duplicate-resolution-undo",
    ),
    path("invoices/", invoices.listing, name="invoices"),
    path("invoices/new/", invoices.new, name="invoice-new"),
    path("invoices/<int:pk>/", invoices.detail, name="invoice"),
    path("invoices/<int:pk>/edit/", invoices.edit, name="invoice-edit"),
    path("invoices/<int:pk>/issue/", invoices.issue, name="invoice-issue"),
    path("invoices/<int:pk>/discard/", invoices.discard, name="invoice-discard"),
    path("invoices/<int:pk>/payment/", invoices.payment, name="invoice-payment"),
    path("settlements/<int:pk>/undo/", invoices.settlement_undo, name="settlement-undo"),
    path("clients/", clients.listing, name="clients"),
    path("clients/new/", clients.new, name="client-new"),
    path("clients/<int:pk>/", clients.detail, name="client"),
    path("clients/<int:pk>/accounts/", clients.account_add, name="payer-account-add"),
    path("payer-accounts/<int:pk>/removal/", clients.account_remove, name="payer-account-remove"),
]
