"""Models: data, training, evaluation, export, and serving them without TensorFlow."""
