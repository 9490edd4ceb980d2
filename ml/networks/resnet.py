"""The residual network of He et al., "Deep Residual Learning" (2015), section 4.2: three stages, the first full-size.

At 28x28 it sees what a max-pooled stem throws away: better than `resnet_small` by the parameter, slower by the epoch.
"""

import keras
from keras import layers

LIMITS = {"width_28": (8, 64), "width_14": (8, 96), "width_7": (8, 192),
          "blocks_28": (1, 5), "blocks_14": (1, 5), "blocks_7": (1, 5)}  # fmt: skip


def build(
    width_28: int = 16, width_14: int = 32, width_7: int = 64, blocks_28: int = 3, blocks_14: int = 3, blocks_7: int = 3
) -> keras.Model:
    """width_*: channels, and blocks_*: residual blocks, at 28x28, 14x14 and 7x7.

    The defaults are ResNet-20 with convolutions in the shortcuts that change the size. Multiples of 16 channels train
    much faster: oneDNN has no fast batch normalization for others.
    """
    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU()(_convolution(inputs, width_28))
    for width, blocks, strides in ((width_28, blocks_28, 1), (width_14, blocks_14, 2), (width_7, blocks_7, 2)):
        for index in range(blocks):
            x = _block(x, width, strides if index == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x), name="resnet")


def _convolution(x: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def _block(x: keras.KerasTensor, filters: int, strides: int) -> keras.KerasTensor:
    y = layers.ReLU()(_convolution(x, filters, strides=strides))
    y = _convolution(y, filters)
    if strides > 1:
        # Averages where He et al. drop three of four values: "Bag of Tricks" (2018).
        x = layers.AveragePooling2D(strides)(x)
    if x.shape[-1] != filters:
        x = _convolution(x, filters, size=1)
    return layers.ReLU()(layers.Add()([x, y]))
