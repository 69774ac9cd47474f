"""`kvit user add`: people, organizations and roles."""

from __future__ import annotations

import pytest

from tests.commands import PASSWORD, Kvit


def add(kvit: Kvit, email: str, organization: str, *words: str, password: str = PASSWORD) -> tuple[int, str]:
    answer = kvit.run(
        "user",
        "add",
        email,
        "--organization",
        organization,
        "--password-stdin",
        *words,
        input=password + "\n",
    )
    if answer.code:
        assert answer.out == ""
        return answer.code, answer.sentence()
    return 0, answer.out


def test_the_first_user_makes_the_organization(kvit: Kvit) -> None:
    code, said = add(kvit, "Jan@Example.com", "Jan Novák s.r.o.")
    assert code == 0
    assert "“Jan Novák s.r.o.” is new" in said
    assert "jan@example.com is owner" in said
    assert PASSWORD not in said


def test_a_second_user_joins_as_accountant(kvit: Kvit) -> None:
    code, said = add(kvit, "ucetni@example.com", "Eva Nová", "--role", "accountant")
    assert (code, said) == (0, "ucetni@example.com is accountant of “Eva Nová”.\n")


def test_an_existing_user_joins_another_organization_and_keeps_the_password(kvit: Kvit) -> None:
    code, said = add(kvit, "eva@example.com", "Druhá firma", password="another long password")
    assert code == 0
    assert "the password stays as it was" in said
    assert kvit.ok("match").splitlines() == [
        "Druhá firma: settled 0, waiting 0",
        "Eva Nová: settled 0, waiting 0",
    ]


def test_adding_the_same_user_again_changes_nothing(kvit: Kvit) -> None:
    assert add(kvit, "eva@example.com", "Eva Nová")[0] == 0
    code, said = add(kvit, "eva@example.com", "Eva Nová", "--role", "accountant")
    assert code == 1
    assert "already, as owner" in said


@pytest.mark.parametrize("password", ["", "hunter2", "qwertyuiop", "1234567890"])
def test_a_weak_password_is_refused_in_english_and_not_repeated(kvit: Kvit, password: str) -> None:
    code, said = add(kvit, "jan@example.com", "Nová firma", password=password)
    assert code == 1
    assert "password" in said.lower().replace(password or "-", "")
    assert password == "" or password not in said
    assert "There is no organization named" in kvit.run("match", "--organization", "Nová firma").err


def test_a_wrong_address_is_refused(kvit: Kvit) -> None:
    code, said = add(kvit, "eva", "Eva Nová")
    assert (code, said) == (1, "“eva” is not an e-mail address.")


def test_without_a_terminal_the_password_comes_from_standard_input_only(kvit: Kvit) -> None:
    answer = kvit.run("user", "add", "jan@example.com", "--organization", "Eva Nová", input=PASSWORD)
    assert answer.code == 1
    assert "--password-stdin" in answer.sentence()
