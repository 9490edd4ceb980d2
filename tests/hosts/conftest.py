"""Machines for tests, where it is allowed to make some."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from four_machines import Site, set_up
from network import Network, obstacle


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product on four machines."""
    if refusal := obstacle():
        pytest.fail(refusal)
    with ExitStack() as stack:
        yield set_up(stack, stack.enter_context(Network()), tmp_path_factory.mktemp("hosts"))
