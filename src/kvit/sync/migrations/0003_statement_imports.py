from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def take_organization_from_run(apps: Any, schema_editor: Any) -> None:
    """A file that waits for a confirmation has no run to name its organization."""
    runs = apps.get_model("sync", "SyncHistory").objects.filter(pk=OuterRef("run_id"))
    apps.get_model("sync", "HandedFile").objects.update(
        organization_id=Subquery(runs.values("organization_id")[:1])
    )


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0004_bank_statements'),
        ('sync', '0002_engine'),
        ('users', '0002_data_key_retired'),
    ]

    operations = [
        migrations.CreateModel(
            name='StatementImport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waits for a confirmation'), ('confirmed', 'confirmed'), ('discarded', 'discarded')], default='waiting', max_length=9)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=300)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='statement_imports', to='users.organization')),
                ('run', models.OneToOneField(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='statement_import', to='sync.synchistory')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['created_at'], name='sync_import_waiting')],
            },
        ),
        migrations.CreateModel(
            name='CsvProfile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('toml', models.TextField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.CharField(max_length=300)),
                ('account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.bankaccount')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='csv_profiles', to='users.organization')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.UniqueConstraint(fields=('organization', 'name'), name='sync_csvprofile_name_once')],
            },
        ),
        migrations.AlterModelOptions(
            name='handedfile',
            options={'ordering': ['id']},
        ),
        migrations.AddField(
            model_name='handedfile',
            name='account',
            field=models.CharField(blank=True, default='', max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='handedfile',
            name='currency',
            field=models.CharField(blank=True, default='', max_length=3),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='handedfile',
            name='profile',
            field=models.TextField(blank=True, default=''),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='handedfile',
            name='statement_import',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='sync.statementimport'),
        ),
        migrations.AddField(
            model_name='handedfile',
            name='organization',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='handed_files', to='users.organization'),
        ),
        migrations.RunPython(take_organization_from_run, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='handedfile',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='handed_files', to='users.organization'),
        ),
        migrations.AlterField(
            model_name='handedfile',
            name='run',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='sync.synchistory'),
        ),
    ]
