"""Speed and size of qsgd beside its peers: ``python -m benchmarks`` from a checkout (README.md).

tensors.py -> schemes.py, ours.py, peers*.py -> measure.py -> sizes.py -> report.py, pictures.py,
targets.py. Not part of the installed package.
"""
