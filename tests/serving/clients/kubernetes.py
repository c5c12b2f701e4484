"""Checks the manifests of a file against the schemas of Kubernetes: its name; prints the kinds that were checked."""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml

with Path(sys.argv[1]).open() as stream:
    documents = list(yaml.safe_load_all(stream))
for document in documents:
    kubernetes_validate.validate(document, "1.31", strict=True)
print(json.dumps([document["kind"] for document in documents]))
