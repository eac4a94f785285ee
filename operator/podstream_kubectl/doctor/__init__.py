"""Checks an installation: each module looks at one part and says what to fix."""

from podstream_kubectl.doctor.findings import Finding, Level
from podstream_kubectl.doctor.probes import Network, Probes
from podstream_kubectl.installation import Installation, find_installation

__all__ = ["Finding", "Installation", "Level", "Network", "Probes", "find_installation"]
