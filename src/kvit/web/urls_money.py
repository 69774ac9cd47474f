"""The URLs of transactions, review, invoices and clients."""

from __future__ import annotations

from django.urls import URLPattern, path

from kvit.web.views import (
    clients,
    invoices,
    review,
    review_acts,
    review_answers,
    review_choosing,
    transactions,
)

urlpatterns: list[URLPattern] = [
    path("transactions/", transactions.listing, name="transactions"),
    path("transactions/export.csv", transactions.export, name="transactions-export"),
    path("transactions/<int:pk>/", transactions.detail, name="transaction"),
    path("transactions/<int:pk>/settlement/", review_choosing.settlement, name="transaction-settlement"),
    path("transactions/<int:pk>/rejection/", review_acts.rejection, name="rejection"),
    path("transactions/<int:pk>/rejection/undo/", review_acts.rejection_undo, name="rejection-undo"),
    path("transactions/<int:pk>/dismissal/", review_acts.dismissal, name="dismissal"),
    path("transactions/<int:pk>/disregard/", review_acts.disregard, name="disregard"),
    path("review/", review.queue, name="review"),
    path("review/acceptances/", review_acts.acceptances, name="acceptances"),
    path("decisions/<int:pk>/acceptance/", review_acts.acceptance, name="acceptance"),
    path(
        "decisions/<int:pk>/acceptance/<slug:write_off>/",
        review_acts.acceptance,
        name="acceptance-writing-off",
    ),
    path("decisions/undo/", review_acts.decisions_undo, name="decisions-undo"),
    path("decisions/<int:pk>/undo/", review_acts.decision_undo, name="decision-undo"),
    path("conflicts/<int:pk>/resolution/", review_answers.resolution, name="resolution"),
    path("duplicates/<int:pk>/resolution/", review_answers.duplicate_resolution, name="duplicate-resolution"),
    path("conflicts/<int:pk>/resolution/undo/", review_answers.resolution_undo, name="resolution-undo"),
    path(
        "duplicates/<int:pk>/resolution/undo/",
        review_answers.duplicate_resolution_undo,
        name="duplicate-resolution-undo",
    ),
    path("invoices/", invoices.listing, name="invoices"),
    path("invoices/new/", invoices.new, name="invoice-new"),
    path("invoices/<int:pk>/", invoices.detail, name="invoice"),
    path("invoices/<int:pk>/edit/", invoices.edit, name="invoice-edit"),
    path("invoices/<int:pk>/issue/", invoices.issue, name="invoice-issue"),
    path("invoices/<int:pk>/discard/", invoices.discard, name="invoice-discard"),
    path("invoices/<int:pk>/payment/", invoices.payment, name="invoice-payment"),
    path("invoices/<int:pk>/void/", invoices.void, name="invoice-void"),
    path("invoices/<int:pk>/credit-note/", invoices.credit_note, name="invoice-credit-note"),
    path("invoices/<int:pk>/credit/", invoices.credit, name="invoice-credit"),
    path("invoices/<int:pk>/offset/", invoices.offset, name="invoice-offset"),
    path("settlements/<int:pk>/undo/", invoices.settlement_undo, name="settlement-undo"),
    path("clients/", clients.listing, name="clients"),
    path("clients/new/", clients.new, name="client-new"),
    path("clients/<int:pk>/", clients.detail, name="client"),
    path("clients/<int:pk>/accounts/", clients.account_add, name="payer-account-add"),
    path("payer-accounts/<int:pk>/removal/", clients.account_remove, name="payer-account-remove"),
]
