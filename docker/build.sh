#!/usr/bin/env bash
# Build this commit's images, push them, and list them by digest for `medu1 compile --images`.
#   docker/build.sh [cpu|all] --registry HOST[:PORT][/PREFIX] [--out FILE] [--allow-dirty]
# cpu: one image for every step. all: also the GPU image, for base, train and evaluate.
# Surroundings: BASE_IMAGE, BUILD_IMAGE, GPU_BASE_IMAGE, GPU_BUILD_IMAGE (else the Dockerfiles' own), TORCH_INDEX, the
# package index that the CPU image takes torch from (empty: pip's own), and GPU_COMPILER (see docker/Dockerfile.gpu).
# Logs and SBOMs are written to build/.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0"; }
stop() { echo "docker/build.sh: $*" >&2; exit 2; }

here=$PWD
kind=cpu registry=${MEDU1_REGISTRY:-} out='' allow_dirty=''
while [ $# -gt 0 ]; do
    case $1 in
        cpu | all) kind=$1 ;;
        --registry) registry=${2:-} && shift ;;
        --out) out=${2:-} && shift ;;
        --allow-dirty) allow_dirty=1 ;;
        --help | -h) usage && exit 0 ;;
        *) usage >&2 && stop "unknown: $1" ;;
    esac
    shift || stop "an option lacks its value; see --help"
done
cd "$(dirname "$0")/.."
case ${out:=$PWD/docker/images.json} in /*) ;; *) out=$here/$out ;; esac

LIMIT=2200000000  # bytes of the CPU image, unpacked
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
python=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)

ready() {  # what would fail after minutes of building fails here
    command -v docker >/dev/null || stop "Docker is not installed. Install an engine, and run this again."
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || stop "No Docker engine answers: $(docker version 2>&1 | tail -n 1). Start one, or point DOCKER_HOST at one."
    case $registry in
        127.* | localhost*)
            address=${registry%%/*}
            [ "${address#*:}" != "$address" ] || address=$address:80
            timeout 5 bash -c "</dev/tcp/${address%:*}/${address##*:}" 2>/dev/null \
                || stop "The registry $registry does not answer. Start it (.ci/engine.sh starts one at 127.0.0.1:5000), or name another with --registry."
            ;;
    esac
    "$python" -c 'import cyclonedx' 2>/dev/null || stop "cyclonedx-bom, which lists what an image holds, is not installed. Run \`make install\` first."
}

identity() {  # the commit, with -dirty where the checkout differs from it
    commit=$(git rev-parse --verify HEAD 2>/dev/null) || stop "This is no git checkout. An image carries its commit. Build from a clone."
    [ -z "$(git status --porcelain)" ] && return
    [ -n "$allow_dirty" ] || stop "The checkout differs from commit ${commit:0:12} ($(git status --porcelain | wc -l) paths). Its images would not be that commit's. Commit or stash, or pass --allow-dirty for images marked -dirty."
    commit=$commit-dirty
}

image() {  # NAME DOCKERFILE [BUILD ARGUMENTS]: builds, checks, pushes; sets `pushed` to repository@digest
    local name=$1 file=$2 id size repository=$registry/medu1-$1 tag=${commit:0:12} log=build/image-$1.log began=$SECONDS
    shift 2
    echo "$name: building; log: $log" >&2
    docker build --file "$file" --iidfile "$scratch/id" --build-arg "COMMIT=$commit" --build-arg "VERSION=$version" "$@" . >"$log" 2>&1 \
        || { tail -n 25 "$log" >&2; stop "The $name image cannot be built; the whole log: $log"; }
    id=$(cat "$scratch/id")
    size=$(docker image inspect --format '{{.Size}}' "$id")
    echo "$name: built in $((SECONDS - began)) s, $((size / 1000000)) MB" >&2
    [ "$name" != cpu ] || [ "$size" -le "$LIMIT" ] || stop "The CPU image has $((size / 1000000)) MB, more than the limit of $((LIMIT / 1000000)). See docker/trim.sh for what stays out."
    docker run --rm --interactive --network none --read-only --tmpfs /tmp "$id" python - --inventory <docker/sbom.py \
        | "$python" docker/sbom.py "medu1-$name" "$commit" "build/sbom-$name.json"
    case $commit in *-dirty) id_only=${id#sha256:} tag=$tag-dirty-${id_only:0:8} ;; esac
    push "$id" "$repository" "$tag"
}

push() {  # ID REPOSITORY TAG
    local log=$scratch/push.log digest
    docker tag "$1" "$2:$3"
    if ! docker push "$2:$3" >"$log" 2>&1; then
        tail -n 3 "$log" >&2
        case $(tail -n 3 "$log") in
            *denied* | *nauthorized* | *forbidden* | *credentials*) stop "$2 refused the push. Sign in with docker login ${2%%/*}, as someone who may write there." ;;
            *) stop "$2 took no push. See that the registry runs and that this engine reaches it, and run this again: what is built is kept." ;;
        esac
    fi
    digest=$(sed -n 's/.*digest: \(sha256:[0-9a-f]\{64\}\) .*/\1/p' "$log" | tail -n 1)
    docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | grep -qxF "$2@${digest:-none}" \
        || stop "The digest of $2:$3 is not found after its push. Packages name images by digest. Push again. The engine said: $(tail -n 1 "$log")"
    pushed=$2@$digest
    echo "pushed $pushed" >&2
}

write_list() {  # CPU GPU: whole or not at all
    local whole
    whole=$(mktemp "$out.XXXXXX")
    printf '{\n  "cpu": "%s",\n  "gpu": "%s",\n  "commit": "%s"\n}\n' "$1" "$2" "$commit" >"$whole"
    chmod 644 "$whole"
    mv "$whole" "$out"
    echo "$out"
}

bases() {  # BASE BUILD: build arguments for those that are named
    [ -z "$1" ] || printf '%s\n' --build-arg "BASE_IMAGE=$1"
    [ -z "$2" ] || printf '%s\n' --build-arg "BUILD_IMAGE=$2"
}

main() {  # read whole before it runs: minutes pass, and the file may change
    [ -n "$registry" ] || stop "No registry is named. A package names images by a registry's digest. Pass --registry HOST/PREFIX; on one machine, .ci/engine.sh starts one at 127.0.0.1:5000."
    identity
    ready
    mkdir -p build
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
    mapfile -t arguments < <(bases "${BASE_IMAGE:-}" "${BUILD_IMAGE:-}")
    image cpu docker/Dockerfile --build-arg "TORCH_INDEX=$TORCH_INDEX" "${arguments[@]}"
    cpu=$pushed gpu=$pushed
    if [ "$kind" = all ]; then
        mapfile -t arguments < <(bases "${GPU_BASE_IMAGE:-}" "${GPU_BUILD_IMAGE:-}")
        image gpu docker/Dockerfile.gpu --build-arg "COMPILER=${GPU_COMPILER:-}" "${arguments[@]}"
        gpu=$pushed
    fi
    write_list "$cpu" "$gpu"
}

main
exit
