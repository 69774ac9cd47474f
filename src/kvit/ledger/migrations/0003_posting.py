from typing import Any

from django.db import migrations, models


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Ids are compared and never sorted for people: PostgreSQL need not know a language for that."""
    if schema_editor.connection.vendor == "postgresql":
        for column in ("source", "external_id"):
            schema_editor.execute(
                f'ALTER TABLE ledger_moneytransaction ALTER COLUMN {column} TYPE varchar(255) COLLATE "C"'
            )


def compare_words(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for column in ("source", "external_id"):
            schema_editor.execute(
                f'ALTER TABLE ledger_moneytransaction ALTER COLUMN {column} TYPE varchar(255) COLLATE "default"'
            )


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0002_identity'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='moneytransaction',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['organization', 'account'], name='ledger_transaction_pending'),
        ),
        migrations.RunPython(compare_bytes, compare_words),
    ]
