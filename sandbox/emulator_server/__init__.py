"""The emulator's server: MiniStack on loopback, its faults handled in front of it. Runs in the emulator's environment.

It imports MiniStack, what MiniStack brings, and the standard library: the rest of the project is not installed there.
"""
