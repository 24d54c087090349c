"""Several Macs as one machine."""
