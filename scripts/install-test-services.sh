#!/usr/bin/env bash
# Installs what the tests start themselves: redis-server, PostgreSQL's programs, Chromium, curl and Python's requests.
# Programs only: no system service is left running. Does nothing where all of them are there.
# With --missing it only prints Debian's names of those that are not there, one a line.
set -euo pipefail

has_postgres() {
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

has_requests() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import requests' 2>/dev/null; then return 0; fi
  done
  return 1
}

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
has_postgres || missing+=(postgresql)
command -v curl >/dev/null || missing+=(curl)
has_requests || missing+=(python3-requests)
[ -x /usr/bin/chromium ] || missing+=(chromium)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if [ "${1:-}" = --missing ]; then
  printf '%s\n' "${missing[@]}"
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "The tests need ${missing[*]} (Debian's package names); this machine has no apt-get to install them with." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "The tests need ${missing[*]}. Install them with: sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi

# Debian starts a service when its package is installed, unless this policy says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi

echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
if ! log=$({ apt-get update -qq && apt-get install -y --no-install-recommends "${missing[@]}"; } 2>&1); then
  printf '%s\n' "$log" >&2
  echo "The tests need ${missing[*]}, and apt-get could not install them (see above)." >&2
  exit 1
fi
