"""The child process of one workload: loads its class, serves the agent, ends with the agent."""
