"""The contract of plugins: the only module of Kvit that a plugin imports, besides kernel values.

A plugin is one class with a name, a Config dataclass and two methods. `check` proves that the credentials
work, `sync` yields what the source knows. The engine owns everything else: HTTP policy, identity, database
transactions, audit, history, retries and the cursor. A plugin reads; it never writes.

    @dataclass(frozen=True, kw_only=True)
    class AcmeConfig:
        token: Secret = field("API token", help="Acme → Settings → API")

    class Acme(Plugin[AcmeConfig]):
        name, title, version, Config = "acme", "Acme Bank", "1.0", AcmeConfig

        def check(self) -> Identity:
            me = self.http.get("https://api.acme.example/me", auth=Bearer(self.config.token)).json()
            return Identity(key=me["iban"], label=me["name"])

        def sync(self, ctx: Context) -> Iterator[Item]:
            ...
"""

from kvit.kernel.errors import (
    AuthExpired,
    Misconfigured,
    PluginError,
    RateLimited,
    RecordError,
    Temporary,
    WebhookRefused,
)
from kvit.plugin.base import API_VERSION, Plugin
from kvit.plugin.consent import Consent, ConsentAnswer, ConsentRequest, Grant, Grants, OAuth, OAuthEndpoints
from kvit.plugin.engine import Context, Gate, Http, SourceFile
from kvit.plugin.fields import field
from kvit.plugin.items import (
    Account,
    AccountStatement,
    Checkpoint,
    Gone,
    Identity,
    Item,
    Json,
    Payout,
    PayoutLine,
    Transaction,
    Unreadable,
)
from kvit.plugin.push import PaymentBatch, PaymentFile, PaymentOrder, Push, Receipt, Verdict
from kvit.plugin.secrets import Bearer, Secret
from kvit.plugin.webhook import Delivery, Event, Webhook, require_signature

__all__ = [
    "API_VERSION",
    "Account",
    "AccountStatement",
    "AuthExpired",
    "Bearer",
    "Checkpoint",
    "Consent",
    "ConsentAnswer",
    "ConsentRequest",
    "Context",
    "Delivery",
    "Event",
    "Gate",
    "Gone",
    "Grant",
    "Grants",
    "Http",
    "Identity",
    "Item",
    "Json",
    "Misconfigured",
    "OAuth",
    "OAuthEndpoints",
    "PaymentBatch",
    "PaymentFile",
    "PaymentOrder",
    "Payout",
    "PayoutLine",
    "Plugin",
    "PluginError",
    "Push",
    "RateLimited",
    "Receipt",
    "RecordError",
    "Secret",
    "SourceFile",
    "Temporary",
    "Transaction",
    "Unreadable",
    "Verdict",
    "Webhook",
    "WebhookRefused",
    "field",
    "require_signature",
]
