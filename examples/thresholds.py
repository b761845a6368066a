import array
import os
import random

import requests

base_url = os.environ.get("BASE_URL", "http://127.0.0.1:3000")
session = requests.Session()
if "EMP_API_KEY" in os.environ:
    session.headers["Authorization"] = f"Bearer {os.environ['EMP_API_KEY']}"

# Any criterion's scores; of a NumPy array, `scores.astype("<f4").tobytes()`.
scores = array.array("f", (random.gauss(0, 1) for _ in range(100_000)))

response = session.post(
    f"{base_url}/v1/thresholds?dtype=float32",
    data=scores.tobytes(),
    headers={"Content-Type": "application/octet-stream"},
)
response.raise_for_status()
decision = response.json()
print(
    f"keep {decision['n_keep']} of {decision['n']}: every score of at least {decision['threshold']:.4f};"
    f" they hold {decision['preserved_mass']:.1%} of the mass"
)
