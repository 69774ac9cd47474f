"""Access that a person grants at the source's own pages: any consent, and OAuth 2.0 as one kind of it.

The engine owns the way: it makes the state and the PKCE verifier, ties them to the signed-in person, takes
the answer once and at most a quarter of an hour later, keeps what was granted sealed, and saves a grant that
was renewed before anything uses it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

import httpx

from kvit.kernel.errors import AuthExpired, Misconfigured, RateLimited, Temporary
from kvit.plugin.engine import Http
from kvit.plugin.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person granted; the engine keeps it sealed."""

    secrets: Mapping[str, Secret]
    """By names of the plugin's own, such as `access_token` and `refresh_token`."""
    renew_at: datetime | None = None
    """The aware moment from which `refreshed` is asked for a new one; None where it is never renewed."""
    ends_on: date | None = None
    """The last day on which it works; then the person must grant it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """What the source's page needs to know to send the person back."""

    return_url: str
    state: str
    """Hand it on as it is; the engine knows the person by it."""
    code_challenge: str
    """Of the method S256 (RFC 7636, 4.2)."""
    today: date
    """The current date in the organization's time zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentAnswer:
    """What the source sent the person back with; its state was checked already."""

    params: Mapping[str, str]
    """The query of the address they came back to."""
    return_url: str
    code_verifier: Secret


class Grants(Protocol):
    """The grant of one connection, as the engine keeps it."""

    def current(self) -> Grant:
        """Return the grant, renewed before it ends. Raises AuthExpired where there is none or it ended."""
        ...

    def renewed(self, refused: Grant) -> Grant:
        """Return another grant than the one that the source has just refused.

        Raises AuthExpired where it cannot be renewed, so that a person must grant access again.
        """
        ...


class Consent(ABC):
    """Mixin of a plugin whose owner grants access at the source's pages: `class Acme(Consent, Plugin[C])`."""

    http: Http
    grants: Grants
    """Set by the engine."""

    @abstractmethod
    def consent_url(self, request: ConsentRequest) -> str:
        """Return the address of the source's page where the person grants access.

        It may ask the source for it. Raises AuthExpired, RateLimited, Temporary or Misconfigured.
        """

    @abstractmethod
    def granted(self, answer: ConsentAnswer) -> Grant:
        """Turn the answer into a grant. Raises AuthExpired where the person or the source declined."""

    def refreshed(self, grant: Grant) -> Grant:
        """Exchange a grant for a new one; called by the engine for one worker at a time.

        Raises AuthExpired where the source no longer accepts it, which is what a grant that cannot be
        renewed always does.
        """
        raise AuthExpired("The access that was granted has ended. Grant it again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthEndpoints:
    """Where and as whom an OAuth 2.0 client asks (RFC 6749)."""

    authorize: str
    token: str
    client_id: str
    client_secret: Secret | None = None
    """None for a public client, which PKCE protects alone."""
    scopes: Sequence[str] = ()
    extra: Sequence[tuple[str, str]] = ()
    """What the authorization page wants besides, such as `("access_type", "offline")`."""


BEARER: Final = "bearer"
RENEW_BEFORE: Final = timedelta(seconds=60)
"""How long before its end an access token is renewed; one that lives less than twice that, at half time."""
LONGEST_LIFE: Final = timedelta(days=3650)
"""A token said to live longer is not renewed by its time, only where it is refused."""


_ABOUT_THE_CLIENT: Final = ("invalid_client", "unauthorized_client")
"""Refusals that say nothing about what was granted."""


class OAuth(Consent):
    """Mixin of a plugin that uses OAuth 2.0: authorization code with PKCE, and rotated refresh tokens.

    Write `endpoints`, and send requests with `auth=self.access`.
    """

    @abstractmethod
    def endpoints(self) -> OAuthEndpoints:
        """Return where the source authorizes, and the client that its owner registered there."""

    @property
    def access(self) -> httpx.Auth:
        """Bearer authentication by the granted token; refused with 401, it is renewed once and sent again."""
        return _GrantedBearer(self.grants)

    def consent_url(self, request: ConsentRequest) -> str:
        ends = self.endpoints()
        params = {
            "response_type": "code",
            "client_id": ends.client_id,
            "redirect_uri": request.return_url,
            "state": request.state,
            "code_challenge": request.code_challenge,
            "code_challenge_method": "S256",
            **({"scope": " ".join(ends.scopes)} if ends.scopes else {}),
            **dict(ends.extra),
        }
        return str(httpx.URL(ends.authorize).copy_merge_params(params))

    def granted(self, answer: ConsentAnswer) -> Grant:
        code = answer.params.get("code", "")
        if not code:
            raise AuthExpired("Access was not granted. Start again when you want to connect.")
        return self._token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": answer.return_url,
                "code_verifier": answer.code_verifier.reveal(),
            },
            kept={},
        )

    def refreshed(self, grant: Grant) -> Grant:
        token = grant.secrets.get("refresh_token")
        if not token:
            return super().refreshed(grant)
        return self._token(
            {"grant_type": "refresh_token", "refresh_token": token.reveal()}, kept={"refresh_token": token}
        )

    def _token(self, form: Mapping[str, str], *, kept: Mapping[str, Secret]) -> Grant:
        """Ask the token endpoint; a refusal by the protocol (RFC 6749, 5.2) means that access has ended,
        unless it is about the client."""
        ends = self.endpoints()
        client = {"client_id": ends.client_id}
        if ends.client_secret:
            client["client_secret"] = ends.client_secret.reveal()
        response = self.http.request(
            "POST", ends.token, data={**form, **client}, headers={"Accept": "application/json"}
        )
        if _error(response) in _ABOUT_THE_CLIENT:
            raise Misconfigured("The source does not know this client. Check its id and its secret.")
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise RateLimited(timedelta(minutes=1))
        if response.status_code in (400, 401, 403):
            raise AuthExpired("The source no longer accepts the access that was granted. Grant it again.")
        if not response.is_success:
            raise Temporary(
                "{host} gave no token ({status}).",
                host=httpx.URL(ends.token).host,
                status=response.status_code,
            )
        return _grant_of(_object(response), kept)


def _error(response: httpx.Response) -> str:
    """Return the code of a refusal (RFC 6749, 5.2); empty where there is none."""
    try:
        told = None if response.is_success else response.json()
    except (ValueError, RecursionError):
        return ""
    code = told.get("error") if isinstance(told, dict) else None
    return code if isinstance(code, str) else ""


class _GrantedBearer(httpx.Auth):
    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        grant = self._grants.current()
        response = yield _carrying(request, grant)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield _carrying(request, self._grants.renewed(grant))


def _carrying(request: httpx.Request, grant: Grant) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {grant.secrets['access_token'].reveal()}"
    return request


def code_challenge(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _object(response: httpx.Response) -> Mapping[str, Any]:
    """Read a token answer (RFC 6749, 5.1). Raises Temporary for what is none, naming nothing of it."""
    try:
        told = response.json()
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not _is_token(told.get("access_token")):
        raise Temporary("The source's answer holds no access token.")
    kind = told.get("token_type", BEARER)
    if not isinstance(kind, str) or kind.strip().lower() not in ("", BEARER):
        raise Misconfigured("The source gave a token of a kind that Kvit cannot use; it uses Bearer tokens.")
    return told


def _is_token(value: object) -> bool:
    """Whether it can travel in a header: visible ASCII (RFC 6749, appendix A.12)."""
    return isinstance(value, str) and value.strip() != "" and value.isascii() and value.isprintable()


def _grant_of(told: Mapping[str, Any], kept: Mapping[str, Secret]) -> Grant:
    """Read a token answer (RFC 6749, 5.1); a refresh token that is not told anew goes on (section 6)."""
    secrets = {**kept, "access_token": Secret(told["access_token"])}
    if _is_token(told.get("refresh_token")):
        secrets["refresh_token"] = Secret(told["refresh_token"])
    return Grant(secrets=secrets, renew_at=_renew_at(told.get("expires_in")))


def _renew_at(expires_in: object) -> datetime | None:
    """When to renew it; None where no usable lifetime is told: then it is renewed where it is refused."""
    try:
        seconds = float(str(expires_in))
    except ValueError:
        return None
    if not 0 < seconds <= LONGEST_LIFE.total_seconds():
        return None
    life = timedelta(seconds=seconds)
    return datetime.now(UTC) + max(life - RENEW_BEFORE, life / 2)
