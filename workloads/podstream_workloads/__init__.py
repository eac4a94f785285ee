"""Data plane: the agent of a session pod, its workloads and the headless client."""
