"""The one thing that pyproject.toml cannot say yet: how the disc estimator's loops are compiled.

`optional`: without a C compiler the package installs all the same and uses the numpy form.
"""

from setuptools import Extension, setup

_FOLDER = "workloads/podstream_workloads/discfit/kernel"

setup(
    ext_modules=[
        Extension(
            "podstream_workloads.discfit._kernel",
            sources=[f"{_FOLDER}/{name}.c" for name in ("module", "blobs", "fit", "judge")],
            depends=[f"{_FOLDER}/kernel.h"],
            # Sums may be reordered, which is what lets loops run 8 wide; NaN keeps its meaning.
            extra_compile_args=[
                "-std=c11",
                "-O3",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fno-signed-zeros",
                "-fassociative-math",
            ],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
