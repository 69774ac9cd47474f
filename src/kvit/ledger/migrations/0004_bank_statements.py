import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0003_posting'),
        ('users', '0002_data_key_retired'),
    ]

    operations = [
        migrations.AlterField(
            model_name='possibleduplicate',
            name='reason',
            field=models.CharField(choices=[('pending', 'a pending movement that may have been booked under another id'), ('other_source', 'the same account, day and amount from another source'), ('told_again', 'the same account, day and amount in another export of the same source')], max_length=12),
        ),
        migrations.CreateModel(
            name='BankStatement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=255)),
                ('number', models.CharField(blank=True, max_length=64)),
                ('from_date', models.DateField(null=True)),
                ('to_date', models.DateField(null=True)),
                ('opening_minor', models.BigIntegerField(null=True)),
                ('closing_minor', models.BigIntegerField(null=True)),
                ('entries', models.PositiveIntegerField(default=0)),
                ('file_name', models.CharField(blank=True, max_length=255)),
                ('fingerprint', models.CharField(max_length=32)),
                ('run_id', models.BigIntegerField(null=True)),
                ('created_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='ledger.bankaccount')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bank_statements', to='users.organization')),
            ],
            options={
                'ordering': ['-to_date', '-id'],
                'constraints': [models.UniqueConstraint(fields=('organization', 'account', 'source', 'fingerprint'), name='ledger_bankstatement_once')],
            },
        ),
    ]
