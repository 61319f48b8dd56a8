"""The emulator's server: MiniStack on loopback, behind fixes for its faults. Runs in the emulator's environment.

It may import only MiniStack with its dependencies and the standard library; nothing else is installed there.
"""
