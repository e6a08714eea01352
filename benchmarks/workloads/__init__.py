"""Tensors that training sends beside plain gradients, captured from small models.

    python -m benchmarks.workloads OUT_DIR [--only NAME] [--bundle FILE.npz]

Every workload is trained from a fixed seed on one CPU thread, on made-up data with structure
(data.py), and written as float32 to OUT_DIR/NAME.npy. The same versions of torch and NumPy on the
same kind of CPU give the same files. `--bundle` cuts windows out of them for the tests.
"""
