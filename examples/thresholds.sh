BASE_URL=${BASE_URL:-http://127.0.0.1:3000}
call() { curl -sS --fail-with-body ${EMP_API_KEY:+-H "Authorization: Bearer $EMP_API_KEY"} "$@"; }

# Scores in, decision out. Nothing is stored.
call "$BASE_URL/v1/thresholds" \
  --json '{"scores": [0.9, -0.1, 0.4, 0.05, -0.6], "include": ["kept_indices"]}'
