#!/usr/bin/env bash
# A Docker engine and an image registry on loopback: what runs is used, what does not is started, and each is told.
# Starting the engine takes root. The registry is Debian's, on 127.0.0.1:5000 or MEDU1_TEST_REGISTRY, and keeps its layers
# below the user's cache directory, so that a later push sends what is new.
set -euo pipefail

registry=${MEDU1_TEST_REGISTRY:-127.0.0.1:5000}
state=${XDG_CACHE_HOME:-$HOME/.cache}/medu1-registry

engine() { docker version --format '{{.Server.Version}}' 2>/dev/null; }
serves() { python3 -c "import sys, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://$registry/v2/', timeout=2)" 2>/dev/null; }

wait_for() {  # SECONDS COMMAND
    for _ in $(seq $(($1 * 5))); do
        ! "$2" >/dev/null || return 0
        sleep 0.2
    done
    return 1
}

if ! engine >/dev/null; then
    command -v dockerd >/dev/null || { echo "No Docker engine answers and dockerd is not installed; on Debian: apt-get install docker.io" >&2; exit 1; }
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || { echo "No Docker engine answers; start one as root, for example: sudo dockerd" >&2; exit 1; }
        as_root=(sudo -n)
    fi
    log=$(mktemp -t dockerd.XXXXXX.log)
    "${as_root[@]}" setsid dockerd >"$log" 2>&1 </dev/null &
    wait_for 60 engine || { echo "dockerd did not start; the end of $log:" >&2; tail -n 20 "$log" >&2; exit 1; }
    echo "Docker engine started; its log: $log"
fi
echo "Docker engine $(engine) answers."

if ! serves; then
    command -v docker-registry >/dev/null || { echo "No image registry answers at $registry; on Debian: apt-get install docker-registry" >&2; exit 1; }
    mkdir -p "$state"
    cat >"$state/config.yml" <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $state/images}}
http: {addr: $registry}
END
    setsid docker-registry serve "$state/config.yml" >"$state/log" 2>&1 </dev/null &
    wait_for 30 serves || { echo "docker-registry did not start at $registry; the end of $state/log:" >&2; tail -n 20 "$state/log" >&2; exit 1; }
    echo "Image registry started at $registry; its images: $state"
fi
echo "Image registry $registry answers."
