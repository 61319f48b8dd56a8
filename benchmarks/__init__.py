"""What is claimed of speed, measured: ratios of things that one interleaved run has measured."""
