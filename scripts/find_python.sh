#!/usr/bin/env bash
# Print a Python that Kvit runs on (3.12 or newer), the one named by .python-version first.
set -u
cd "$(dirname "$0")/.." || exit 1
wanted=$(cat .python-version)
candidates=("python$wanted" python3 python3.14 python3.13 python3.12)
for root in "${PYENV_ROOT:-}" "$HOME/.pyenv" /opt/pyenv; do
  [ -n "$root" ] || continue
  for path in "$root"/versions/"$wanted"*/bin/python3 "$root"/versions/3.1[2-9]*/bin/python3; do
    [ -x "$path" ] && candidates+=("$path")
  done
done
for candidate in "${candidates[@]}"; do
  path=$(command -v "$candidate" 2>/dev/null) || continue
  "$path" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || continue
  "$path" -c 'import sys; print(sys.executable)'
  exit 0
done
echo "Kvit needs Python 3.12 or newer with venv. Install it, for example by “pyenv install $wanted”." >&2
exit 1
