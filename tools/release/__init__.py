"""Releases: the module's interface, its changes since the last release, and the record of each release.

The process is in docs/releasing.md.
"""
