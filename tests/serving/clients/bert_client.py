"""Asks a server with bert-serving-client: the two ports; texts on standard input."""

import json
import sys
import threading

import zmq
from bert_serving.client import BertClient, ConcurrentBertClient

ports = dict(zip(("port", "port_out"), map(int, sys.argv[1:]), strict=True), timeout=60_000)
texts = json.load(sys.stdin)
found = {}
with BertClient(**ports) as client:
    found["config"] = client.server_config
    found["encode"] = client.encode(texts).tolist()
    vectors, tokens = client.encode(texts, show_tokens=True)
    found["shown"], found["tokens"] = vectors.tolist(), tokens
    words = [["good", "##ly", "nonsense", "[MASK]"], ["film"]]
    vectors, tokens = client.encode(words, is_tokenized=True, show_tokens=True)
    found["tokenized"], found["words"] = vectors.tolist(), tokens
    for one in texts[:3]:
        client.encode([one], blocking=False)
    found["fetched"] = [one.tolist() for one in client.fetch_all()]
    client.encode(texts[:1], blocking=False)
    client.encode(texts[1:3], blocking=False)
    found["together"] = client.fetch_all(concat=True).tolist()
    found["async"] = [one.embedding.tolist() for one in client.encode_async(([t] for t in texts[:4]), max_num_batch=4)]
    found["many"] = client.encode(texts * 100).tolist() == client.encode(texts * 100).tolist()
    found["status"] = client.server_status

with ConcurrentBertClient(max_concurrency=4, **ports) as client:
    answers = {}
    threads = [
        threading.Thread(target=lambda i=i: answers.update({i: client.encode(texts=texts[i : i + 1]).tolist()[0]}))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found["concurrent"] = [answers[i] for i in range(4)]

# A client that asks at once, before the server can know that it listens.
with BertClient(**ports, ignore_all_checks=True) as client:
    found["at_once"] = client.encode(texts[:1]).tolist()
# What the client itself refuses to send: errors have an answer, too.
with BertClient(**ports) as client:
    for name, payload in {
        "not_json": b"{",
        "not_texts": b"[3]",
        "nothing": b"[]",
        "too_long": b'["' + b"a" * 200_000 + b'"]',
    }.items():
        client._send(payload, 1)
        found[name] = list(client._recv_ndarray(client.request_id).embedding.shape)
    found["blank"] = len(client._recv_ndarray(client._send(b'["\\u3000", "good film"]', 2)).embedding)

context = zmq.Context()
sender = context.socket(zmq.PUSH)
sender.connect(f"tcp://localhost:{ports['port']}")
for frames in ([b"0", b"TERMINATION", b"0", b"0"], [b"one frame"], [b"a", b"b", b"c", b"d"]):
    sender.send_multipart(frames)
sender.close(linger=1000)
context.term()
with BertClient(**ports) as client:
    found["still"] = client.encode(texts[:1]).tolist()
print(json.dumps(found))
