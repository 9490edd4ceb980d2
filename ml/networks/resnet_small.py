"""A residual network sized for two CPU cores: most arithmetic at 14x14 and 7x7, where layers are bound by compute.

After He et al., "Deep Residual Learning" (2015), with average pooling in the shortcuts (He et al., "Bag of Tricks",
2018) and a max-pooled stem, which learned faster than a strided first block (ml/RESULTS.md).
"""

import keras
from keras import layers

LIMITS = {"stem": (8, 64), "width": (8, 96), "top": (0, 192), "blocks_14": (1, 4), "blocks_7": (1, 4)}


def build(stem: int = 32, width: int = 48, top: int = 0, blocks_14: int = 2, blocks_7: int = 1) -> keras.Model:
    """stem: channels at 28x28; width: at 14x14; top: at 7x7 (0: twice the width); blocks_*: residual blocks at 14, 7.

    The defaults come to 210,090 parameters and 21.8 M MACs. Multiples of 16 channels train much faster: oneDNN has no
    fast batch normalization for others.
    """
    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU()(_convolution(inputs, stem))
    x = layers.MaxPooling2D()(x)
    for _ in range(blocks_14):
        x = _block(x, width)
    for index in range(blocks_7):
        x = _block(x, top or 2 * width, strides=2 if index == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x), name="resnet_small")


def _convolution(x: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def _block(x: keras.KerasTensor, filters: int, strides: int = 1) -> keras.KerasTensor:
    y = layers.ReLU()(_convolution(x, filters, strides=strides))
    y = _convolution(y, filters)
    if strides > 1:
        x = layers.AveragePooling2D(strides)(x)
    if x.shape[-1] != filters:
        x = _convolution(x, filters, size=1)
    return layers.ReLU()(layers.Add()([x, y]))
