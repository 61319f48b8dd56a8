"""Releases: what the module's interface is, how it differs from the last release, and the record of each release.

The rules, and what to run when: docs/releasing.md.
"""
