"""Machine code for CUDA on disk, from one process to the next; the device is a stand-in."""

from collections import namedtuple

import numpy as np
import pytest
from cuda_compiler import why_not
from helpers import ROOT

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# The program compiles the kernel of a name for a compute capability; it prints how many
# compilations and warnings there were.
PROGRAM = """
import sys
import warnings
from unittest import mock

import numpy as np
from numba.cuda import codegen, dispatcher

from evoopt.kernels.cuda.population.noise import sample_rows
from evoopt.kernels.cuda.runtime import driver
from cuda_compiler import array

dtype, capability = np.dtype(sys.argv[1]), tuple(map(int, sys.argv[2].split(".")))
device = mock.Mock(compute_capability=capability)
context = mock.Mock(device=device)
kernel = sample_rows(dtype)
with (
    warnings.catch_warnings(record=True) as warned,
    mock.patch.object(dispatcher, "get_current_device", return_value=device),
    mock.patch.object(codegen.devices, "get_context", return_value=context),
    mock.patch.object(dispatcher._Kernel, "bind", lambda self: self._codelibrary.get_cubin()),
    mock.patch.object(dispatcher, "compile_cuda", side_effect=dispatcher.compile_cuda) as compiler,
):
    warnings.simplefilter("always", RuntimeWarning)
    kinds = np.uint64, array("u8"), array("f8"), array("f8"), array(dtype, 2)
    compiled = kernel.compiled.compile(tuple(map(driver.type_of, kinds)))
    assert len(compiled._codelibrary.get_cubin().code) > 1000
print(compiler.call_count, len(warned))
"""


@pytest.fixture
def compilations(run_python, tmp_path):
    def run(dtype="f4", capability="9.0", folder=tmp_path / "cache"):
        path = f"{ROOT}:{ROOT / 'tests'}"
        output = run_python(PROGRAM, dtype, capability, NUMBA_CACHE_DIR=str(folder), PYTHONPATH=path)
        return tuple(map(int, output.split()))

    return run


def test_the_next_process_finds_it_unless_it_is_damaged(compilations, tmp_path):
    assert compilations() == (1, 0)
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.name.startswith("evoopt-kernels-")
    files = [path for suffix in ("*.nbi", "*.nbc") for path in folder.rglob(suffix)]
    assert compilations() == (0, 0)
    assert len(files) == 2
    for path in files:  # compiled again if one is damaged
        path.write_bytes(path.read_bytes()[:-200])
        assert compilations() == (1, 0)
    assert compilations() == (0, 0)
    assert compilations(capability="8.0") == (1, 0)
    assert compilations(dtype="f8") == (1, 0)


def test_without_a_folder_there_is_no_cache_but_a_warning(compilations, tmp_path):
    (tmp_path / "file").touch()
    assert compilations(folder=tmp_path / "file" / "folder") == (1, 1)


def test_names():
    from evoopt import envs
    from evoopt.kernels.cuda.networks.dense import DenseLayer
    from evoopt.kernels.cuda.runtime.jit import name_of

    layer = DenseLayer(3, 4, 0, False, 12, False, "tanh")
    of_a_user = namedtuple("DenseLayer", layer._fields)
    names = [
        name_of(np.float32, 3),
        name_of(np.dtype(np.float64), 3),
        name_of(np.float32, 3.0),
        name_of(np.float32, (3,)),
        name_of((layer,)),
        name_of((layer._replace(units=5),)),
        name_of((tuple(layer),)),
        name_of(envs.cartpole.step),
        name_of(envs.pendulum.step),
    ]
    assert None not in names
    assert len(set(names)) == len(names)
    assert name_of(np.float32) == name_of(np.dtype("f4"))
    assert name_of(3, lambda x: x) is None
    assert name_of((layer._replace(activation=np.sin),)) is None
    assert name_of((of_a_user(*layer),)) is None
