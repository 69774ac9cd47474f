"""Statement files that arrive by themselves: dropped into a folder, or mailed as attachments."""

from kvit.plugins.statement_inbox.plugin import StatementInbox, StatementInboxConfig

__all__ = ["StatementInbox", "StatementInboxConfig"]
