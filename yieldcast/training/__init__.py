"""Training: the tables of a store to a run directory with one trained member per seed.

Comes in: a store, settings and seeds. Goes out: a run directory with plain Keras files, records and a model
card. Members train in parallel; training can be interrupted at any moment and continues with the same bits.
Imports only `yieldcast.models` and below.
"""
