#!/bin/sh
# SeaweedFS in one process, with three accounts: admin makes buckets, mlflow has artifacts, runs have models and data.
# It reads accounts from a file alone, so the keys of the environment are written into memory here. 127.0.0.1 is the
# name its parts know each other by: an address that changes with the pod would change its own peers.
set -eu
: "${ADMIN_KEY:?}" "${ADMIN_SECRET:?}" "${MLFLOW_KEY:?}" "${MLFLOW_SECRET:?}" "${RUNS_KEY:?}" "${RUNS_SECRET:?}"
: "${ARTIFACTS:?}" "${MODELS:?}" "${DATA:?}"
for word in "$ADMIN_KEY" "$ADMIN_SECRET" "$MLFLOW_KEY" "$MLFLOW_SECRET" "$RUNS_KEY" "$RUNS_SECRET"; do
    case "$word" in
        *[!A-Za-z0-9/+=_-]*) echo "A key of the object store holds other characters than A-Z a-z 0-9 / + = _ -" >&2; exit 2 ;;
    esac
done
umask 077
accounts="${ACCOUNTS:-/run/store/accounts.json}"
cat >"$accounts" <<END
{
  "identities": [
    {"name": "admin", "credentials": [{"accessKey": "$ADMIN_KEY", "secretKey": "$ADMIN_SECRET"}], "actions": ["Admin"]},
    {"name": "mlflow", "credentials": [{"accessKey": "$MLFLOW_KEY", "secretKey": "$MLFLOW_SECRET"}],
     "actions": ["Read:$ARTIFACTS", "Write:$ARTIFACTS", "List:$ARTIFACTS"]},
    {"name": "runs", "credentials": [{"accessKey": "$RUNS_KEY", "secretKey": "$RUNS_SECRET"}],
     "actions": ["Read:$MODELS", "Write:$MODELS", "List:$MODELS", "Read:$DATA", "Write:$DATA", "List:$DATA"]}
  ]
}
END
exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -s3 -s3.port=8333 -s3.config="$accounts" \
    -s3.allowDeleteBucketNotEmpty=false -volume.max=0 -master.volumeSizeLimitMB=1024 -master.volumePreallocate=false
