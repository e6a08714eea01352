"""Files: frames as .qsgd files (frame_files.py), tensors in the formats that people have.

Everything is written whole or not at all (atomic.py). `qsgd.save` and `qsgd.load` lead here.
"""
