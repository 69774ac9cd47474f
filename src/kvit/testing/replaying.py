"""A plugin over recorded answers, for tests of its author."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvit.plugin import Item, Json, Plugin
from kvit.sync.configuring import read_values
from kvit.sync.opening import opened
from kvit.testing.cassettes import Cassette
from kvit.testing.running import Told


def replayed(
    plugin: type[Plugin[Any]],
    cassette: Path,
    settings: Mapping[str, str],
    *,
    cursor: Mapping[str, Json] | None = None,
) -> list[Item]:
    """Return what a sync yields where the source answers from a cassette; nothing is sent.

    `settings` are those of the form; credentials may be anything, for a cassette holds none. The day is that
    of the recording. Raises what the plugin raises, and NotRecorded where it asks for something else.
    """
    values = read_values(plugin, settings)
    answers = Cassette(cassette, values.credentials.values())
    with opened(plugin, values, transport=answers, tries=1) as source:
        return list(source.sync(Told(cursor or {}, answers.today, (), [])))
