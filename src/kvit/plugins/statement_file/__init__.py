"""Statement files that people hand over: every format that `kvit.kernel.statements` reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kvit.plugin import Checkpoint, Context, Identity, Item, Misconfigured, Plugin, field
from kvit.plugin.statements import read_statements


@dataclass(frozen=True, kw_only=True)
class StatementFileConfig:
    currency: str = field(
        "Currency of files that do not say theirs",
        help="Three letters, such as CZK. Some GPC (ABO) files leave the currency out.",
        default="",
        pattern=r"([A-Z]{3})?",
    )


class StatementFile(Plugin[StatementFileConfig]):
    name, title, version, Config = "statement_file", "Statement files", "1.1", StatementFileConfig
    description = "Upload what your bank exports: camt, GPC (ABO), MT940, OFX, CSV and more."
    accepts_files = True

    def check(self) -> Identity:
        return Identity(key=self.name, label=self.title)

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Yield what the files hold; files that cannot be read are reported after the others were.

        The first of them is the error of the run, the others are its warnings.
        """
        refused: list[Misconfigured] = []
        for file in ctx.files:
            try:
                statements = read_statements(file, currency=self.config.currency)
            except Misconfigured as error:
                refused.append(error)
                continue
            for warning in statements.warnings:
                ctx.log(warning)
            yield from statements.items()
            yield Checkpoint({})
        for another in refused[1:]:
            ctx.warn(str(another))
        if refused:
            raise refused[0]
