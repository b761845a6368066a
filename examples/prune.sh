BASE_URL=${BASE_URL:-http://127.0.0.1:3000}
MODEL=${1:-examples/fc2-mnist.onnx}
call() { curl -sS --fail-with-body ${EMP_API_KEY:+-H "Authorization: Bearer $EMP_API_KEY"} "$@"; }

# Upload and prune in one call, wait for the end, and keep the address of the job.
JOB=$BASE_URL$(call -o >(cat >&2) -w '%header{location}' "$BASE_URL/v1/jobs" \
  -H 'Prefer: wait=60' -F "model=@$MODEL" -F 'recipe={"scope": "layer"}') &&
  call "$JOB/report" &&
  call --remove-on-error -o "pruned-$(basename "$MODEL")" "$JOB/artifacts/$(basename "$MODEL")"
