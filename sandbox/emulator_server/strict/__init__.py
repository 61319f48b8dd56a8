"""The strict gate: in front of the emulator, it answers as AWS does where the emulator takes what AWS would not.

Read `gate` first, which every request passes. `requests` finds a request's operation and reads its input, `models` holds that
input to AWS's model of it, `refusals` holds it to `refusals.yaml`: what AWS refuses though its model allows it, as data.
`answers` writes errors as AWS's protocols have them.
"""
