"""`python -m agent.echo_client --url URL ...`: offers, says how it was answered, stays or leaves.

A spec (`PODSTREAM_CLIENT_SPEC`, as in a client's pod) with `minDist` 4096 makes it fail at once.
"""

import argparse
import json
import os
import sys
import time
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True)
arguments = parser.parse_args()
spec = json.loads(os.environ["PODSTREAM_CLIENT_SPEC"])
if spec["estimator"]["minDist"] == 4096:
    sys.exit(7)
request = urllib.request.Request(
    arguments.url,
    data=b"v=0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n",
    headers={
        "Content-Type": "application/sdp",
        "Authorization": f"Bearer {os.environ['PODSTREAM_CLIENT_TOKEN']}",
    },
)
with urllib.request.urlopen(request, timeout=30) as response:
    print(f"client got {response.status} {response.headers['Location']}", flush=True)
time.sleep(60)
