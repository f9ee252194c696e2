"""What people pass by mistake, as expressions in the names of `names`."""

TYPES = [
    *("None", "'text'", "''", "b'bytes'", "{}", "{'a': 1.0}", "{'a', 'b'}", "[]", "()", "['a', 'b']"),
    *("[None]", "[[]]", "[1.0, None]", "[1.0, 'a']", "[[1.0], [1.0, 2.0]]", "object()", "object", "Ellipsis"),
    *("evoopt.CMAES", "evoopt", "lambda: 1", "raises", "gives(None)", "gives('text')", "gives(math.nan)"),
    *("(i for i in range(3))", "iter([1.0, 2.0])", "map(float, 'ab')", "range(3)", "HasArray()", "OwnError"),
    *("OwnError('text')", "sphere", "judge", "compiled_sphere", "compiled_text", "np.float64"),
    *("NET", "SPEC", "ENV", "TREE", "evoopt.Dense(2)", "evoopt.SNES([1.0], 1.0)", "'cuda'", "'\\ud800'"),
    *("os", "io.StringIO()", "slice(3)", "NotImplemented", "bytearray(b'ab')", "memoryview(b'ab')", "'a' * 1000"),
    *("types.SimpleNamespace()", "Path('a')", "[[[1.0]]]", "'\\0'", "{1: 2}", "frozenset()", "[object()]"),
]
NUMBERS = [
    *("0", "1", "-1", "2", "3", "0.5", "-0.0", "math.nan", "math.inf", "-math.inf", "2**63", "-2**63", "2**64"),
    *("10**400", "-10**400", "1e308", "-1e308", "5e-324", "1e-310", "True", "False", "1j", "1 + 0j", "2**31"),
    *("Fraction(1, 3)", "Fraction(2)", "Decimal('0.5')", "Decimal('nan')", "Decimal(2)", "2**62", "1e30", "1e-30"),
    *("np.float32(0.5)", "np.float16(2)", "np.longdouble('1e400')", "np.int8(-1)", "np.uint8(2)", "2.0", "1e9"),
    *("np.uint64(2**64 - 1)", "np.int64(-2**63)", "np.bool_(True)", "np.complex64(1)", "np.str_('a')", "'3'"),
    *("np.datetime64('2020')", "np.timedelta64(1, 's')", "np.void(b'ab')", "np.float64('nan')", "np.int32(3)"),
    *("np.array(2)", "np.array(2.0)", "np.array([2])", "np.array(None)", "[2]", "(2,)", "np.bytes_(b'a')"),
]
ARRAYS = [
    *("np.empty(0)", "np.empty((0, 3))", "np.empty((3, 0))", "np.array(0.0)", "np.ones(1)", "np.ones(2)"),
    *("np.ones(3)", "np.ones(4)", "np.ones((1, 3))", "np.ones((3, 1))", "np.ones((3, 3))", "np.ones((2, 3, 4))"),
    *("np.full(3, np.nan)", "np.full(3, np.inf)", "np.full((8, 3), np.nan)", "np.full((8, 3), 1e308)"),
    *("np.array([1, 2, 3])", "np.array([True, False, True])", "np.array(['a', 'b', 'c'])", "np.eye(3)"),
    *("np.array([b'a', b'b', b'c'])", "np.array([1, None, 'a'], object)", "np.array([1.5, 2, 3], object)"),
    *("np.array(['2020', '2021', '2022'], 'M8[Y]')", "np.array([1, 2, 3], 'm8[s]')", "np.ones(3, complex)"),
    *("np.zeros(3, [('a', float), ('b', int)])", "np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])"),
    *("np.ma.array([1.0, 2.0, 3.0])", "np.matrix([[1.0, 2.0, 3.0]])", "np.rec.array([(1, 2.0)])", "-np.eye(3)"),
    *("as_strided(np.zeros(1), (2**40,), (0,))", "as_strided(np.zeros(1), (2**40, 3), (0, 0))", "np.zeros(8)"),
    *("as_strided(np.zeros(1), (8, 2**40), (0, 0))", "as_strided(np.zeros(1), (2**20, 2**20), (0, 0))"),
    *("np.array([2**63], np.uint64)", "np.array([-1, 0, 1])", "np.array([10**400, 1, 1], object)"),
    *("np.array([np.nan, 1, 1])", "np.array([5e-324, 1, 1])", "np.longdouble([1, 2, 3])", "np.zeros((8, 3))"),
    *("np.array([np.ones(2), np.ones(3), None], object)", "[np.ones(3), np.ones(3)]", "np.ones((10, 4))"),
    *("np.ones((8, 3), np.int8)", "np.ones((8, 3), np.float16)", "[HasArray(), 1.0]", "np.arange(8)", "-np.ones(3)"),
]
# another form of the value that works
FORMS = [
    *("np.asarray({})[::-1]", "np.asfortranarray({})", "np.asarray({}).astype('>f8')", "list({})", "tuple({})"),
    *("np.asarray({}, object)", "np.asarray({}).astype(np.float16)", "np.asarray({}).astype(np.longdouble)"),
    *("np.asarray({}).astype(np.int8)", "np.asarray({}).astype(np.uint64)", "np.asarray({}).astype(bool)"),
    *("np.asarray({}).astype(str)", "np.ma.masked_array({})", "np.asarray({})[None]", "np.asarray({})[..., None]"),
    *("np.asarray({})[:-1]", "np.repeat({}, 2, axis=0)", "np.asarray({}).T", "np.asarray({}) * np.nan"),
    *("np.asarray({}) * 1e308", "-np.asarray({})", "np.asarray({}).tolist()", "np.asarray({}, np.float32)"),
    *("np.broadcast_to({}, np.shape({}))", "np.asarray({}).astype(complex)", "[{}]", "({}, {})", "str({})"),
    *("np.asarray({}).view(np.matrix)", "np.repeat({}, 2, axis=-1)[..., ::2]", "iter({})", "repr({})", "{{'a': {}}}"),
    *("np.asarray({}) * 0", "np.asarray({}).ravel()", "list(reversed({}))", "dict(enumerate({}))", "lambda: {}"),
]
VALUES = [*TYPES, *NUMBERS, *ARRAYS]
# further keyword arguments, and places
FURTHER = ["no_such_option=1", "popsiz=4", "n=2", "**{'': 1}", "**{'a b': 1}", "seed_=None", "*[1] * 20", "max_iter=3"]
