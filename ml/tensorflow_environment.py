"""What TensorFlow only reads from the environment, and only when it is first loaded."""

import os


def prepare() -> None:
    """Set what suits training here, where the environment says nothing else; before the first import of Keras."""
    # By itself TensorFlow takes oneDNN's convolutions only on processors with AVX-512; with AVX2 alone they are 1.7 to
    # 1.9 times as fast as its own, too (ml/RESULTS.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # it talks a lot while it exports
