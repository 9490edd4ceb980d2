"""Networks are found by their files, without Keras; built, they keep the contract of input and output."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from ml import networks


def test_names_and_limits_are_known_without_loading_keras() -> None:
    code = (
        "import sys; from ml import networks; "
        "print(networks.names(), networks.limits('resnet_small')['width'], 'keras' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "('resnet', 'resnet_small', 'tutorial_cnn') (8, 96) False\n"


@pytest.mark.parametrize("name", networks.names())
def test_every_network_takes_pixels_and_gives_ten_logits(name: str) -> None:
    model = networks.build(name)
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)
    logits = model(np.random.default_rng(0).random((4, 28, 28, 1), np.float32))
    assert not np.allclose(keras.ops.sum(logits, axis=1), 1)


@pytest.mark.parametrize("name", networks.names())
def test_every_network_can_be_built_at_the_limits_of_its_hyperparameters(name: str) -> None:
    for end in (0, 1):
        model = networks.build(name, **{key: limits[end] for key, limits in networks.limits(name).items()})
        assert model.output_shape == (None, 10)


@pytest.mark.parametrize("use", [networks.build, networks.limits])
def test_an_unknown_network_is_a_key_error(use: object) -> None:
    with pytest.raises(KeyError):
        use("resnet_9000")  # type: ignore[operator]


def test_parameters_and_macs_are_those_that_the_documentation_states() -> None:
    small, tutorial = networks.build("resnet_small"), networks.build("tutorial_cnn")
    assert (small.count_params(), networks.count_macs(small)) == (210_090, 21_752_256)
    # By hand: 26*26*9*32 + 11*11*9*32*64 + 1600*128 + 128*10.
    assert (tutorial.count_params(), networks.count_macs(tutorial)) == (225_034, 2_631_040)
