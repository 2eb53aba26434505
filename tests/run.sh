#!/usr/bin/env bash
# Every test, with coverage: a process a room, two at a time. With arguments: pytest with those, in one process.
# Browser tests need a chromium; without one they are left out, and this says so.
set -euo pipefail
cd "$(dirname "$0")/.."
export GROUNDWORK_ACTOR=${GROUNDWORK_ACTOR:-tester} DO_NOT_TRACK=1
export OMP_WAIT_POLICY=passive # two rooms share the cores: a thread that waits for another's room must not spin
unset PYTHONDONTWRITEBYTECODE # images set it; then each of the stories' many commands compiles Prefect's imports anew, some 12 s
command -v chromium >/dev/null || echo "tests: no chromium on this machine: the browser tests are left out (Debian: apt-get install chromium)" >&2
(($# == 0)) || exec .venv/bin/python -m pytest -q "$@"

kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
export kept

# A room's tests; said when they end. A native library that ends the process of all of them is no test's failure: they
# are run once more, and that is said too.
room() {
  local name=$1 status=0 attempt
  shift
  for attempt in 1 2; do
    status=0
    COVERAGE_FILE="$kept/.coverage.$name" .venv/bin/python -m pytest --cov --cov-report= -q -p no:cacheprovider "$@" >"$kept/$name.log" 2>&1 || status=$?
    ((status >= 128)) || break
    { tail -n 60 "$kept/$name.log"; echo "tests: the process of $name was ended by signal $((status - 128)) (attempt $attempt of 2)"; } >&2
  done
  printf '%s: ' "$name"
  if ((status == 0)); then tail -n 1 "$kept/$name.log"; else cat "$kept/$name.log"; fi
  return "$status"
}
export -f room

# the longest first, so that neither of the two waits for it at the end
rooms=(retrieval documents)
for folder in tests/*/; do
  name=$(basename "$folder")
  [[ $name == __pycache__ || $name == journeys || " ${rooms[*]} " == *" $name "* ]] || rooms+=("$name")
done
failed=0
parts=tests/journeys/test_parts.py # the longest story, a process of its own
{
  echo "journeys tests/journeys --ignore=$parts"
  echo "parts $parts"
  printf '%s\n' "${rooms[@]}" | sed 's|.*|& tests/&|'
  echo "product $(echo tests/test_*.py)"
} |
  xargs -P 2 -I '{}' bash -c 'room {}' || failed=1
.venv/bin/coverage combine -q --data-file="$kept/.coverage" "$kept"
.venv/bin/coverage report --data-file="$kept/.coverage" --skip-covered || true
((failed == 0)) && echo "tests: every room passed" || { echo "tests: failed, see above" >&2; exit 1; }
