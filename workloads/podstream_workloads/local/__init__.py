"""A session without Kubernetes: `podstream-run SPEC` plays operator and router on 127.0.0.1.

The agent and its workloads are the real ones; only what Kubernetes would add is missing: pods,
replicas, Secrets, the UDP relay.
"""
