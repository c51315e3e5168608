#!/usr/bin/env bash
# What the tests of services and of containers start and Debian has: PostgreSQL, Chromium and its driver, a Docker engine,
# an image registry and what makes a base image. Installed where they are missing; a docker command alone is no engine.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
command -v dockerd >/dev/null || docker version >/dev/null 2>&1 || missing+=(docker.io)
command -v docker-registry >/dev/null || missing+=(docker-registry)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "Missing: ${missing[*]}. As root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)

for attempt in 1 2 3; do
    if "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; then
        exit 0
    fi
    echo "apt-get failed, attempt $attempt of 3" >&2
    sleep $((attempt * 10))
done
exit 1
