"""Pods kept warm: who uses which, who may take one, and how a pool is kept filled."""
