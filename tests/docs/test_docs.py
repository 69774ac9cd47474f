from __future__ import annotations

from scripts.check_docs import problems


def test_the_docs_forget_no_setting_field_or_error_and_their_links_lead_somewhere() -> None:
    assert list(problems()) == []
