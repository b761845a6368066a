BASE_URL=${BASE_URL:-http://127.0.0.1:3000}
MODEL=${1:-examples/fc2-mnist.onnx}
DATA=${2:-examples/mnist}
call() { curl -sS --fail-with-body ${EMP_API_KEY:+-H "Authorization: Bearer $EMP_API_KEY"} "$@"; }

# Score by Wanda on the calibration data, search the sparsest model whose loss is at most 2 % higher.
JOB=$BASE_URL$(call -o >(cat >&2) -w '%header{location}' "$BASE_URL/v1/jobs" \
  -H 'Prefer: wait=60' -F "model=@$MODEL" -F "calibration=@$DATA/calibration_inputs.npy" \
  -F "evaluation=@$DATA/evaluation_inputs.npy" -F "evaluation_labels=@$DATA/evaluation_labels.npy" \
  -F 'recipe={"criterion": "wanda", "scope": "row", "target": {"max_loss_increase": 0.02}}') &&
  call "$JOB/report" &&
  call --remove-on-error -H 'Accept: text/html' -o report.html "$JOB/report"
