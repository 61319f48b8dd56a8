"""What the architecture decision is measured by. So far: the simulation behind "aggregated traffic keeps it warm"."""
