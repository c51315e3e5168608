#!/usr/bin/env bash
# The base images that docker/build.sh takes here, told on stdout as BASE_IMAGE=... and BUILD_IMAGE=... (and TORCH_INDEX=
# where torch lies on this machine). The Dockerfile's own base where it is here or can be pulled; else one made of
# Debian's packages by mmdebstrap. What this machine's pip needs (PIP_CERT, PIP_FIND_LINKS, other settings of PIP_*) goes
# into the builder's base alone, which no finished image contains.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${MEDU1_DEBIAN:-bookworm}
declared=$(sed -n 's/^ARG BASE_IMAGE=//p' docker/Dockerfile)
runtime=medu1-test-base:$suite
builder=medu1-test-build:$suite

here() { docker image inspect "$1" >/dev/null 2>&1; }

bootstrap() {  # IMAGE PACKAGES: import a small Debian
    command -v mmdebstrap >/dev/null \
        || { echo "No image registry is reachable, and mmdebstrap is not installed; on Debian: apt-get install mmdebstrap" >&2; exit 1; }
    mmdebstrap --quiet --variant=minbase --include="$2" --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" - \
        | docker import --change 'CMD ["python3"]' - "$1" >&2 \
        || { docker image rm "$1" >/dev/null 2>&1; echo "mmdebstrap made no base image; it may need root: sudo .ci/base_image.sh" >&2; exit 1; }
}

base=${BASE_IMAGE:-}
build=${BUILD_IMAGE:-}
if [ -z "$base" ]; then
    if here "$declared" || { ! here "$runtime" && timeout 120 docker pull --quiet "$declared" >/dev/null 2>&1; }; then
        base=$declared
    else
        base=$runtime
        here "$base" || bootstrap "$base" python3,ca-certificates
        here "$builder-plain" || bootstrap "$builder-plain" python3,python3-venv,python3-pip,ca-certificates
        build=${build:-$builder-plain}
    fi
fi
build=${build:-$base}

settings=()
for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT PIP_RETRIES; do
    [ -z "${!name:-}" ] || settings+=("$name=${!name}")
done
if [ -n "${PIP_CERT:-}${PIP_FIND_LINKS:-}${settings[*]:-}" ]; then
    context=$(mktemp -d)
    trap 'rm -r "$context"' EXIT
    {
        echo "FROM $build"
        if [ -n "${PIP_CERT:-}" ]; then
            cp -L "$PIP_CERT" "$context/certificates.pem"
            echo "COPY certificates.pem /etc/pip/certificates.pem"
            settings+=(PIP_CERT=/etc/pip/certificates.pem)
        fi
        if [ -d "${PIP_FIND_LINKS:-}" ]; then
            cp -rL "$PIP_FIND_LINKS" "$context/wheels"
            echo "COPY wheels /etc/pip/wheels"
            settings+=(PIP_FIND_LINKS=/etc/pip/wheels)
        fi
        for setting in "${settings[@]}"; do echo "ENV $setting"; done
    } >"$context/Dockerfile"
    docker build --quiet --tag "$builder" "$context" >/dev/null
    build=$builder
fi

echo "BASE_IMAGE=$base"
echo "BUILD_IMAGE=$build"
! ls "${PIP_FIND_LINKS:-/none}"/torch-*.whl >/dev/null 2>&1 || echo "TORCH_INDEX="
