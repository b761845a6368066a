BASE_URL=${BASE_URL:-http://127.0.0.1:3000}
MODEL=${1:-examples/fc2-mnist.onnx}
DATA=${2:-examples/mnist}
call() { curl -sS --fail-with-body ${EMP_API_KEY:+-H "Authorization: Bearer $EMP_API_KEY"} "$@"; }

# Upload; each answer's Location ends with the id.
post() { basename "$(call -o >(cat >&2) -w '%header{location}' "$BASE_URL/v1/$1" "${@:2}")"; }
MODEL_ID=$(post models -F "file=@$MODEL")
CALIBRATION=$(post datasets -F "inputs=@$DATA/calibration_inputs.npy;filename=input.npy")
EVALUATION=$(post datasets -F "inputs=@$DATA/evaluation_inputs.npy;filename=input.npy" -F "labels=@$DATA/evaluation_labels.npy")

# Find the model that compresses best and costs at most 2 points of accuracy.
SEARCH=$BASE_URL/v1/searches/$(post searches -H 'Content-Type: application/json' -d @- <<END
{
  "model_id": "$MODEL_ID",
  "calibration_dataset_id": "$CALIBRATION",
  "evaluation_dataset_id": "$EVALUATION",
  "promise": {"max_accuracy_drop": 0.02},
  "aim": "size",
  "limits": {"max_candidates": 20}
}
END
)

# The stream ends with the search; its last event has all that was tried, and the best with the job that wrote it.
BEST=$(call -N "$SEARCH/events" | tail -n 2 | sed -n 's/.*"best":{.*"job":{"id":"\([a-z0-9_]*\)".*/\1/p')
call "$SEARCH"
call --remove-on-error -o "pruned-$(basename "$MODEL")" "$BASE_URL/v1/jobs/$BEST/artifacts/$(basename "$MODEL")"
