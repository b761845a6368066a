BASE_URL=${BASE_URL:-http://127.0.0.1:3000}

# Scores in, decision out. Nothing is stored.
curl -sS --fail-with-body "$BASE_URL/v1/thresholds" \
  --json '{"scores": [0.9, -0.1, 0.4, 0.05, -0.6], "include": ["kept_indices"]}'
