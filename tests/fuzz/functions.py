"""Working calls of functions."""

from .case import Case

_STARTED = ("es = started(evoopt.SNES)",)
_RESULT = (*_STARTED, "run = evoopt.evolve(es, judge, max_generations=4)")
_SMALL = frozenset({"progress", "workers", "disp", "max_generations", "maxfun"})
_LEARNS = frozenset({"strategy", "task", "validation"})
_SEARCHED = ("assert np.isfinite(result.x).all() and result.message",)
_OPTIONS = {
    "maxfun": "100",
    "maxiter": "9",
    "time_limit": "5.0",
    "target": "1e-3",
    "seed": "1",
    "sigma": "0.5",
    "popsize": "8",
    "log": "FOLDER / 'evaluations.csv'",
    "tolx": "1e-6",
    "noisy": "False",
}
_TENSOR = b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'
_HEADER = len(_TENSOR).to_bytes(8, "little") + _TENSOR
FUNCTIONS = [
    Case(
        "evolve",
        "evoopt.evolve",
        {"strategy": "es", "task": "judge", "max_generations": "4"},
        {
            "max_evaluations": "100",
            "target": "1e-3",
            "time_limit": "5.0",
            "validation": "judge",
            "patience": "2",
            "progress": "False",
            "callback": "lambda es: None",
            "executor": "None",
            "chunk_size": "4",
        },
        _STARTED,
        _SEARCHED,
        _SMALL,
        _LEARNS,
    ),
    *(
        Case(
            "evolve",
            "evoopt.evolve",
            {"strategy": "es", "task": task, "max_generations": "4"},
            {"validation": task},
            ("es = evoopt.SNES([0.1, 0.2], 0.5, seed=1, popsize=4, noisy=True)",),
            small=_SMALL,
            writes=_LEARNS,
        )
        for task in ("evoopt.Objective(sphere)", "evoopt.Objective(compiled_sphere)")
    ),
    Case(
        "minimize",
        "evoopt.minimize",
        {"fun": "sphere", "x0": "[1.0, -2.0]", "options": "{'maxfun': 100, 'seed': 1}"},
        {
            "args": "()",
            "method": "'cmaes'",
            "bounds": "[(-5, 5)] * 2",
            "callback": "lambda xk: None",
            "tol": "1e-6",
            "constraints": "()",
            "vectorized": "False",
            "workers": "1",
        },
        (),
        _SEARCHED,
        _SMALL,
    ),
    Case(
        "minimize",
        "minimize_sphere",
        {"maxfun": "100"},
        {**_OPTIONS, "method": "'ipop'", "exhaust": "False"},
        (),
        _SEARCHED,
        _SMALL,
    ),
    Case(
        "minimize",
        "evoopt.minimize",
        {"fun": "compiled_sphere", "x0": "[1.0, -2.0]", "options": "{'maxfun': 100}"},
        {"args": "()", "method": "'snes'"},
        (),
        _SEARCHED,
        _SMALL,
    ),
    Case(
        "scipy_method",
        "evoopt.scipy_method",
        {"name": "'cmaes'"},
        {**_OPTIONS, "workers": "1"},
        (),
        ("found = scipy.optimize.minimize(sphere, [1.0, -2.0], method=result, options={'maxfun': 50})",),
        _SMALL,
    ),
    Case(
        "load",
        "evoopt.load",
        {"path": "FOLDER / 'es.npz'"},
        {"task": "judge"},
        (*_STARTED, "es.save(FOLDER / 'es.npz')"),
        ("assert result.generation == 2",),
    ),
    Case(
        "load_params",
        "evoopt.load_params",
        {"path": "FOLDER / 'a.npz'"},
        {},
        ("evoopt.save_params(FOLDER / 'a.npz', TREE)",),
    ),
    Case(
        "save_params",
        "evoopt.save_params",
        {"path": "FOLDER / 'a.npz'", "tree": "TREE"},
        {},
        (),
        ("loaded = evoopt.load_params(path)",),
    ),
    Case(
        "load_safetensors",
        "evoopt.load_safetensors",
        {"path": "FOLDER / 'a.safetensors'"},
        {},
        (f"header = {_HEADER}", "(FOLDER / 'a.safetensors').write_bytes(header + bytes(8))"),
    ),
    Case(
        "save_safetensors",
        "evoopt.save_safetensors",
        {"path": "FOLDER / 'a.safetensors'", "tree": "TREE"},
        {"spec": "SPEC"},
        (),
        ("loaded = evoopt.load_safetensors(path)",),
    ),
    Case("from_torch", "evoopt.from_torch", {"module": "None", "input_shape": "(4,)"}),
    Case("to_torch", "evoopt.to_torch", {"net": "NET", "vector": "PARAMS", "module": "None"}),
    Case("CSVLogger", "evoopt.CSVLogger", {"path": "FOLDER / 'log.csv'"}, {}, _STARTED, ("result(es)",)),
    Case(
        "CSVLogger.__call__",
        "log",
        {"intermediate_result": "es"},
        {},
        (*_RESULT, "log = evoopt.CSVLogger(FOLDER / 'log.csv')"),
        ("log(run)",),
        writes=frozenset({"log"}),
    ),
    Case(
        "plot_history",
        "evoopt.plot_history",
        {"run": "run", "figure": "Figure()"},
        {},
        _RESULT,
        writes=frozenset({"figure"}),
    ),
    Case(
        "plot_history",
        "evoopt.plot_history",
        {"run": "run.history", "figure": "Figure()"},
        {},
        _RESULT,
        writes=frozenset({"figure"}),
    ),
    Case("get_num_threads", "evoopt.get_num_threads"),
    Case("show_versions", "show_quietly"),
    Case("set_num_threads", "evoopt.set_num_threads", {"n": "1"}, {}, (), ("evoopt.set_num_threads(2)",)),
]
