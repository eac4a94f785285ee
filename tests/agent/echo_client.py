"""`python -m agent.echo_client --url URL ...`: offers, says how it was answered, stays or leaves.

`--min-dist 4096` makes it fail at once.
"""

import argparse
import os
import sys
import time
import urllib.request

parser = argparse.ArgumentParser()
for flag in ("--url", "--estimator", "--dp", "--min-dist"):
    parser.add_argument(flag, required=True)
arguments = parser.parse_args()
if arguments.min_dist == "4096":
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
