"""Models written in Python: variables, modules, functions that are traced to graphs, checkpoints, saving and loading.

The public names are in `exporter`; see docs/design.md, "Authoring", for the contracts.
"""
