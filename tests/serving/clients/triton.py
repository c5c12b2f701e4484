"""Asks a server with tritonclient: host:port, model; texts on standard input."""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

address, model = sys.argv[1:]
texts = json.load(sys.stdin)
client = triton.InferenceServerClient(address)
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready(model),
    "server": client.get_server_metadata(),
    "metadata": client.get_model_metadata(model),
}
for form in ("binary", "json"):
    given = triton.InferInput("text_a", [len(texts)], "BYTES")
    given.set_data_from_numpy(np.array(texts, dtype=object), binary_data=form == "binary")
    outputs = None if form == "binary" else [triton.InferRequestedOutput("label", binary_data=False)]
    answer = client.infer(model, [given], outputs=outputs, request_id=form)
    arrays = {one["name"]: answer.as_numpy(one["name"]) for one in answer.get_response()["outputs"]}
    found[form] = {
        "id": answer.get_response()["id"],
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "types": {name: array.dtype.name for name, array in arrays.items()},
        "values": {
            name: [one.decode() if isinstance(one, bytes) else one for one in array.ravel().tolist()]
            for name, array in arrays.items()
        },
    }
try:
    client.infer("films", [given])
except InferenceServerException as error:
    found["error"] = [error.status(), error.message()]
print(json.dumps(found))
