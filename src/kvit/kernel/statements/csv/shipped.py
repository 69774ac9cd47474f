"""The profiles that come with Kvit, one small TOML file each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import files

from kvit.kernel.statements.csv.profile import Profile, profile_from_toml


class _Shipped(Mapping[str, Profile]):
    """Read at the first use, so that importing Kvit does not read them."""

    @cached_property
    def _profiles(self) -> dict[str, Profile]:
        folder = files("kvit.kernel.statements.csv") / "profiles"
        texts = sorted(
            (each.name, each.read_text("utf-8")) for each in folder.iterdir() if each.name.endswith(".toml")
        )
        profiles = [profile_from_toml(text) for _, text in texts]
        return {profile.name: profile for profile in profiles}

    def __getitem__(self, name: str) -> Profile:
        return self._profiles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)


SHIPPED: Mapping[str, Profile] = _Shipped()
"""By name."""
