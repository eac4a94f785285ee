"""What every workload that moves pictures over WebRTC stands on."""
