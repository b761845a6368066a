import json
import os
import sys
import time

import requests

base_url = os.environ.get("BASE_URL", "http://127.0.0.1:3000")
session = requests.Session()
if "EMP_API_KEY" in os.environ:
    session.headers["Authorization"] = f"Bearer {os.environ['EMP_API_KEY']}"
model = sys.argv[1] if len(sys.argv) > 1 else "examples/fc2-mnist.onnx"
data = sys.argv[2] if len(sys.argv) > 2 else "examples/mnist"
recipe = {"criterion": "wanda", "scope": "row", "target": {"max_loss_increase": 0.02}}
parts = {
    "model": model,
    "calibration": f"{data}/calibration_inputs.npy",
    "evaluation": f"{data}/evaluation_inputs.npy",
    "evaluation_labels": f"{data}/evaluation_labels.npy",
}


def checked(response):
    if not response.ok:
        sys.exit(response.json()["detail"])
    return response


files = {part: open(path, "rb") for part, path in parts.items()}
job = checked(session.post(f"{base_url}/v1/jobs", data={"recipe": json.dumps(recipe)}, files=files)).json()
while job["status"] in ("queued", "running"):
    time.sleep(0.5)
    job = checked(session.get(f"{base_url}/v1/jobs/{job['id']}")).json()
if job["status"] != "succeeded":
    sys.exit(job["error"]["detail"])

report = checked(session.get(f"{base_url}/v1/jobs/{job['id']}/report")).json()
for point in sorted(report["evaluation"]["search"]["evaluations"], key=lambda point: point["beta"]):
    print("beta {beta:.3f}: {sparsity:.1%} zeros, loss {loss:.4f}, accuracy {accuracy:.1%}".format(**point))
print(report["verdict"]["text"])
page = checked(session.get(f"{base_url}/v1/jobs/{job['id']}/report", headers={"Accept": "text/html"}))
with open("report.html", "wb") as file:
    file.write(page.content)
