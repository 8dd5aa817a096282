"""What an arm costs to deploy: size, memory, latency and throughput of its models."""
