import json
import os
import sys
import time

import requests

base_url = os.environ.get("BASE_URL", "http://127.0.0.1:3000")
session = requests.Session()
if "EMP_API_KEY" in os.environ:
    session.headers["Authorization"] = f"Bearer {os.environ['EMP_API_KEY']}"
path = sys.argv[1] if len(sys.argv) > 1 else "examples/fc2-mnist.onnx"


def checked(response):
    if not response.ok:
        sys.exit(response.json()["detail"])
    return response


with open(path, "rb") as file:
    model = checked(session.post(f"{base_url}/v1/models", files={"file": file})).json()

job = checked(
    session.post(f"{base_url}/v1/jobs", json={"model_id": model["id"], "recipe": {"scope": "layer"}})
).json()
while job["status"] in ("queued", "running"):
    time.sleep(0.5)
    job = checked(session.get(f"{base_url}/v1/jobs/{job['id']}")).json()
if job["status"] != "succeeded":
    sys.exit(job["error"]["detail"])

print(json.dumps(job["summary"], indent=2))
name = os.path.basename(path)
pruned = checked(session.get(f"{base_url}/v1/jobs/{job['id']}/artifacts/{name}"))
with open(f"pruned-{name}", "wb") as file:
    file.write(pruned.content)
