"""`kvit keys`: which keys there are, and their change while Kvit runs (see docs/keys.md)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils import timezone

from kvit.audit.recording import COMMAND
from kvit.cli.organizations import all_or
from kvit.cli.tables import counted, table
from kvit.kernel.errors import KeyMissing, KvitError, SealBroken
from kvit.sync import rotation
from kvit.users.keys import data_key_of, master_key_ids, missing_master_keys
from kvit.users.models import DataKey
from kvit.users.sealed import sealed_tables

_IN_USE: Final = "seals"
_OLDER: Final = "opens"
_RETIRED: Final = "retired"


class ValuesUnreadable(KvitError):
    """{count} stored secrets were left as they are: no key opens them ({rows})."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _DataKey:
    """A data key and what there is to say about it."""

    row: DataKey
    use: str
    is_damaged: bool
    values: Mapping[str, int]
    """How many values it seals, by table."""


def status(_options: argparse.Namespace) -> int:
    """Print the keys and what they seal; exit 1 where one is missing or damaged."""
    keys, elsewhere = _data_keys()
    missing = missing_master_keys()
    print("\n".join(_about_master_keys(keys, missing)))
    print()
    print("\n".join(_about_data_keys(keys)))
    for name, number in elsewhere.items():
        print(f"No key that is here seals {counted(number, 'value', 'values')} of {name}.")
    print()
    for sentence in _advice(keys, missing):
        print(sentence)
    return 1 if missing or any(key.is_damaged for key in keys) else 0


def rewrap(_options: argparse.Namespace) -> int:
    """Wrap every data key with the first master key of the environment."""
    wrapped = rotation.rewrap(actor=COMMAND)
    active = master_key_ids()[0]
    print(f"{counted(wrapped, 'data key', 'data keys')} wrapped with the master key {active}.")
    for sentence in _advice(_data_keys()[0], ()):
        print(sentence)
    return 0


def rotate(options: argparse.Namespace) -> int:
    """Seal every stored secret with a new data key, or finish doing so where that was interrupted."""
    rotations = rotation.rotate(all_or(options.organization), actor=COMMAND)
    for done in rotations:
        print("\n".join(_about_rotation(done)))
    if not rotations:
        print("There is no data key yet: the first stored secret makes it.")
    unreadable = [place for done in rotations for place in done.unreadable]
    if unreadable:
        raise ValuesUnreadable(count=len(unreadable), rows=", ".join(unreadable))
    return 0


def _about_rotation(done: rotation.Rotation) -> Iterator[str]:
    yield (
        f"“{done.organization}”: {counted(done.resealed, 'value', 'values')} sealed anew"
        f" with the {'new ' if done.is_new else ''}data key {done.key_id}."
    )
    if not done.is_new:
        yield (
            "  This finished an earlier rotation, and no new key was made."
            " Run “kvit keys rotate” again if you want one."
        )
    if done.retired:
        yield f"  Retired: {', '.join(done.retired)}."
    if done.left:
        yield "  Values were sealed with an older key meanwhile. Run “kvit keys rotate” again in a minute."


def _data_keys() -> tuple[list[_DataKey], dict[str, int]]:
    """Every data key, by organization; and by table how many values none of them has sealed."""
    rows = list(DataKey.objects.select_related("organization"))
    counts = {each.name: each.counted_by_key({row.key_id for row in rows}) for each in sealed_tables()}
    newest = {row.organization_id: row.pk for row in sorted(rows, key=_age)}
    keys = [
        _DataKey(
            row=row,
            use=_IN_USE if newest[row.organization_id] == row.pk else _RETIRED if row.retired_at else _OLDER,
            is_damaged=_is_damaged(row),
            values={name: found[row.key_id] for name, found in counts.items() if found[row.key_id]},
        )
        for row in sorted(rows, key=lambda row: (row.organization.name, row.organization_id, *_age(row)))
    ]
    return keys, {name: found[""] for name, found in counts.items() if "" in found}


def _age(row: DataKey) -> tuple[bool, int]:
    """Retired keys before those in use, the oldest first."""
    return row.retired_at is None, row.pk


def _is_damaged(row: DataKey) -> bool:
    try:
        data_key_of(row, row.organization)
    except KeyMissing:
        return False
    except SealBroken:
        return True
    return False


def _about_master_keys(keys: Sequence[_DataKey], missing: Sequence[str]) -> Iterator[str]:
    ids = master_key_ids()
    lines = [["Master key", "State", "Data keys"]]
    for key_id in (*ids, *missing):
        state = "MISSING" if key_id in missing else "active" if key_id == ids[0] else "opens"
        lines.append([key_id, state, str(sum(key.row.master_key_id == key_id for key in keys))])
    return table(lines)


def _about_data_keys(keys: Sequence[_DataKey]) -> Iterator[str]:
    if not keys:
        return iter(["There is no data key yet: the first stored secret makes it."])
    lines = [["Data key", "State", "Created", "Master key", "Organization", "Sealed values"]]
    for key in keys:
        values = ", ".join(f"{name} {number}" for name, number in key.values.items())
        lines.append(
            [
                key.row.key_id,
                "DAMAGED" if key.is_damaged else key.use,
                timezone.localtime(key.row.created_at).strftime("%Y-%m-%d"),
                key.row.master_key_id,
                key.row.organization.name,
                values or "none",
            ]
        )
    return table(lines)


def _advice(keys: Sequence[_DataKey], missing: Sequence[str]) -> Iterator[str]:
    """Say what to do next, the most urgent first."""
    active, *others = master_key_ids()
    used = {key.row.master_key_id for key in keys}
    if missing:
        yield (
            f"MISSING: put the master key {', '.join(missing)} back into KVIT_MASTER_KEY, the file that"
            " KVIT_MASTER_KEY_FILE names, or master.key in the data folder, and start Kvit again."
        )
        return
    if any(key.is_damaged for key in keys):
        yield "DAMAGED data keys do not open: restore the database from a backup."
    unused = [key_id for key_id in others if key_id not in used]
    if used - {active}:
        yield f"Run “kvit keys rewrap” to wrap every data key with the master key {active}."
    elif unused:
        yield (
            f"Nothing needs the master key {', '.join(unused)} any more: take it out of the environment, and"
            " keep it with the backups made while it was in use."
        )
    if any(key.use == _OLDER or (key.use == _RETIRED and key.values) for key in keys):
        yield "A rotation is unfinished: run “kvit keys rotate”; until then older keys open what they sealed."
    elif not (used - {active}) and not unused:
        yield "Everything is in order."
