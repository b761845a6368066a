BASE_URL=${BASE_URL:-http://127.0.0.1:3000}
MODEL=${1:-examples/fc2-mnist.onnx}

# Upload and prune in one call, wait for the end, and keep the address of the job.
JOB=$BASE_URL$(curl -sS --fail-with-body -o /dev/null -w '%header{location}' "$BASE_URL/v1/jobs" \
  -H 'Prefer: wait=60' -F "model=@$MODEL" -F 'recipe={"scope": "layer"}')

curl -sS --fail-with-body "$JOB/report"
curl -sS --fail-with-body -o "pruned-$(basename "$MODEL")" "$JOB/artifacts/$(basename "$MODEL")"
