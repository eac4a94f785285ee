"""`podstream-circle`: the original ball tracker's two programs, without Kubernetes."""
