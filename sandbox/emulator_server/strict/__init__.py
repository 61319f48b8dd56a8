"""The strict gate, in front of the emulator: it rejects requests that AWS would reject and the emulator accepts.

Start with `gate`, which handles every request. `requests` parses a request into an operation and its input, `models` validates
the input against AWS's model, and `refusals` applies `refusals.yaml`: what AWS rejects although its model allows it, as data.
`errors` formats errors in AWS's protocols.
"""
