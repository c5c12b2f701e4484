"""Asks a server with OpenAI's client: address, model; texts on standard input."""

import json
import sys

import openai

address, model = sys.argv[1:]
texts = json.load(sys.stdin)
client = openai.OpenAI(base_url=f"{address}/v1", api_key="a key of many characters", max_retries=0)
answer = client.embeddings.create(model=model, input=texts)
found = {
    "models": [one.id for one in client.models.list()],
    "vectors": [one.embedding for one in answer.data],
    "tokens": answer.usage.total_tokens,
    "short": client.embeddings.create(model=model, input=texts[0], dimensions=3).data[0].embedding,
    "floats": client.embeddings.create(model=model, input=texts[0], encoding_format="float").data[0].embedding,
}
for name, arguments in {
    "model": {"model": "films", "input": "a"},
    "long": {"model": model, "input": "a " * 99},
}.items():
    try:
        client.embeddings.create(**arguments)
    except openai.APIStatusError as error:
        found[name] = [error.status_code, error.body["message"]]
print(json.dumps(found))
