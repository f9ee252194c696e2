"""Another library's side of DLPack, in ctypes: an array to lend, and the reader of a capsule."""

import ctypes

from evoopt.kernels.cuda.runtime.stream import known_queue

DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
READ_ONLY, COPIED = 1, 2
_LENT = {}  # the memory that capsules need, and their lenders, by address


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("kind", ctypes.c_int32), ("device", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("offset", ctypes.c_uint64),
    )  # fmt: skip


class Plain(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER))


class Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", DELETER), ("flags", ctypes.c_uint64), ("tensor", Tensor),
    )  # fmt: skip


def function(name, result, *kinds):
    return ctypes.PYFUNCTYPE(result, *kinds)((name, ctypes.pythonapi))


new = function("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
name_of = function("PyCapsule_GetName", ctypes.c_char_p, ctypes.py_object)
pointer = function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
rename = function("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)


class Lender:
    """Another library's array, in memory of ours, whose only interface is DLPack.

    `asked` are the streams of the requests, `returned` counts how often the memory was given back.
    """

    def __init__(self, array, *, strides=None, shape=None, flags=None, code=2, device=(2, 0), offset=0):
        self.array, self.strides, self.shape = array, strides, shape or array.shape
        self.code, self.device, self.offset = code, device, offset
        self.flags = flags  # None: an older library, without versions
        self.asked, self.returned = [], 0

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, *, stream=None, **versions):
        if self.flags is None and versions:
            raise TypeError("unexpected keyword argument 'max_version'")
        self.asked.append(stream)
        if stream is not None:  # None if the device is simulated
            self.array.stream.precede(known_queue(stream))
        managed = Plain() if self.flags is None else Versioned(major=1, flags=self.flags)
        tensor, n = managed.tensor, len(self.shape)
        tensor.data, tensor.offset, tensor.ndim = self.array.address - self.offset, self.offset, n
        tensor.kind, tensor.device = self.device
        tensor.code, tensor.bits, tensor.lanes = self.code, 8 * self.array.dtype.itemsize, 1
        shape = (ctypes.c_int64 * n)(*self.shape)
        strides = (ctypes.c_int64 * n)(*self.strides) if self.strides else None
        tensor.shape = shape
        if strides:
            tensor.strides = strides
        managed.deleter = DELETER(self._take_back)
        address = ctypes.addressof(managed)
        _LENT[address] = managed, shape, strides, self
        name = b"dltensor" if self.flags is None else b"dltensor_versioned"
        return new(address, name, None)

    def _take_back(self, address):
        self.returned += 1
        _LENT.pop(address)


class Taken:
    """An array that another library takes from our capsule; `give_back` calls the deleter."""

    def __init__(self, capsule):
        self.name = name_of(capsule)
        kind = Versioned if self.name == b"dltensor_versioned" else Plain
        self.managed = kind.from_address(pointer(capsule, self.name))
        self.used = b"used_" + self.name
        rename(capsule, self.used)
        tensor = self.managed.tensor
        self.address, self.device = (tensor.data or 0) + tensor.offset, (tensor.kind, tensor.device)
        self.dtype, self.shape = (tensor.code, tensor.bits, tensor.lanes), tuple(tensor.shape[: tensor.ndim])

    def give_back(self):
        self.managed.deleter(ctypes.addressof(self.managed))
