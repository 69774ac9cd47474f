#!/usr/bin/env bash
# Make the virtual environment with everything, from the hashed lock.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
python=$(scripts/find_python.sh)
if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
  rm -rf "$venv"
  echo "Setting up $venv with $("$python" --version)…"
  "$python" -m venv "$venv"
fi
quiet=(--quiet --disable-pip-version-check)
"$venv/bin/python" -m pip install "${quiet[@]}" --require-hashes -r requirements/dev.txt 2> >(grep -v '^WARNING: Location' >&2)
"$venv/bin/python" -m pip install "${quiet[@]}" --no-deps --no-build-isolation --editable . 2> >(grep -v '^WARNING: Location' >&2)
